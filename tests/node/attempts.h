/*
 * attempts.h - what a process in a sandbox might try, one function each.
 *
 * Each gives 0 if it got through and else the errno it met; all run in a process of their
 * own.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "tests/node/scratch.h"

/* What there is to try it on; made before the sandbox is entered. */
struct place {
    char folder[80];  /* the sandbox's own: file, link (to outside/file) */
    char outside[80]; /* beside it: file, local (a socket somebody listens at) */
    pid_t other;      /* a process of the same user, outside the sandbox */
    int secret;       /* at the same address there, too */
    int port;         /* of a listener of `other` on loopback */
    int tcp;          /* an internet socket, not yet connected */
    int pair[2];      /* two ends of a connection */
    int listener;     /* a local socket at which somebody knocks */
};

typedef int attempt(const struct place *p);

/* Programs and processes. */
attempt try_program, try_program_of_descriptor, try_fork, try_clone3, try_clone, try_thread,
    try_new_code, try_code_of_data;
/* Other processes. */
attempt try_trace, try_read_memory, try_write_memory, try_memory_file, try_environment,
    try_kill, try_kill_thread, try_queue_signal, try_signal_by_descriptor,
    try_signal_by_owner, try_signal_by_socket, try_limit, try_own_signal;
/* The kernel's wide doors. */
attempt try_io_uring, try_keyring, try_bpf, try_perf, try_userfaultfd, try_memfd, try_mount,
    try_namespace, try_join_namespace, try_chroot, try_root_user, try_personality,
    try_foreign_call, try_type_into_terminal, try_dumpable, try_outlive, try_name;
/* Sockets. */
attempt try_tcp, try_udp, try_raw, try_local, try_netlink, try_packet, try_pair,
    try_connect, try_bind, try_talk, try_send_descriptor, try_admin_socket, try_accept,
    try_resolve;
/* Files outside. */
attempt try_read_outside, try_list_outside, try_read_by_dots, try_read_by_link,
    try_read_by_root, try_read_etc, try_write_outside, try_create_outside,
    try_unlink_outside, try_rename_outside, try_link_in, try_folder_outside,
    try_truncate_outside, try_chmod_outside, try_attribute_outside, try_handle;
/* Files of the own folder. */
attempt try_read_inside, try_write_inside, try_replace_inside, try_folder_inside,
    try_symlink_inside, try_device_inside, try_map_inside, try_lock_inside, try_database;

/* Two threads try a socket, one of them older than the sandbox, which `enter` closes. */
int try_old_thread(const struct place *p, bool (*enter)(const struct place *p));
