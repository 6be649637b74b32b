/*
 * store_schema.h - the catalogue's tables; db_schema.c puts them into version 1 of the
 * file.
 *
 * At most one version of a name answers. A dropped dataset keeps its rows ("dropped"), so
 * that what the ledger and the log say about it can still be read.
 */
#pragma once

#define STORE_SCHEMA                                                                       \
    "CREATE TABLE codebook(digest BLOB PRIMARY KEY, name TEXT NOT NULL,"                   \
    " packed BLOB NOT NULL, envelope BLOB NOT NULL, added_at INTEGER NOT NULL)"            \
    " WITHOUT ROWID;"                                                                      \
    "CREATE TABLE dataset_version(version BLOB PRIMARY KEY, name TEXT NOT NULL,"           \
    " codebook BLOB NOT NULL REFERENCES codebook(digest), content BLOB NOT NULL,"          \
    " rows INTEGER NOT NULL, patients INTEGER NOT NULL,"                                   \
    " imported_at INTEGER NOT NULL, state TEXT NOT NULL"                                   \
    " CHECK(state IN ('answers', 'withdrawn', 'superseded', 'dropped')),"                  \
    " why TEXT NOT NULL DEFAULT '') WITHOUT ROWID;"                                        \
    "CREATE INDEX dataset_version_name ON dataset_version(name, imported_at);"             \
    "CREATE UNIQUE INDEX dataset_version_answers ON dataset_version(name)"                 \
    " WHERE state = 'answers';"
