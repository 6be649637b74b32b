/* language_codebook.h - a codebook with every type and role, for tests of the languages. */
#pragma once

#include "analyses/codebook.h"

/* protobuf-c has char * for texts that nobody changes. */
#define TEXT(text) ((char *)(text))

enum {
    V_PATIENT,
    V_AGE,
    V_SEX,
    V_STATUS,
    V_DX,
    V_GRADE,
    V_BMI,
    V_BWT,
    V_VISIT,
    V_SECRET,
    V_SCORE,
    V_A,
    V_B,
    V_C,
    V_Y,
    V_G,
    V_S,
    V_ALL
};

/* Filled anew at every call: tests may spoil it. */
static inline Cohortium__Codebook *language_body(void)
{
    static Cohortium__Variable v[V_ALL];
    static Cohortium__Variable *list[V_ALL];
    static Cohortium__Codebook body;
    static char *sex[] = {TEXT("female"), TEXT("male")};
    static char *dx[] = {TEXT("E10"), TEXT("E11"), TEXT("I10"), TEXT("I21"), TEXT("N18")};
    static char *grade[] = {TEXT("low"), TEXT("mid"), TEXT("high")};
    static char *fm[] = {TEXT("f"), TEXT("m")};
    static double age_grid[] = {18, 40, 47, 60, 80}, bmi_grid[] = {18.5, 25, 30};
    static const struct {
        const char *name;
        Cohortium__VarType type;
        Cohortium__Role role;
        double lower, upper;
        const char *unit;
    } rows[V_ALL] = {
        {"patient", COHORTIUM__VAR_TYPE__INTEGER, COHORTIUM__ROLE__DIRECT_IDENTIFIER, 0, 0,
         ""},
        {"age", COHORTIUM__VAR_TYPE__INTEGER, COHORTIUM__ROLE__QUASI_IDENTIFIER, 0, 120,
         "years"},
        {"sex", COHORTIUM__VAR_TYPE__CATEGORICAL, COHORTIUM__ROLE__QUASI_IDENTIFIER, 0, 0,
         ""},
        {"status", COHORTIUM__VAR_TYPE__BINARY, COHORTIUM__ROLE__SENSITIVE, 0, 0, ""},
        {"dx", COHORTIUM__VAR_TYPE__CATEGORICAL, COHORTIUM__ROLE__SENSITIVE, 0, 0, ""},
        {"grade", COHORTIUM__VAR_TYPE__ORDERED, COHORTIUM__ROLE__ORDINARY, 0, 0, ""},
        {"bmi", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__QUASI_IDENTIFIER, 10, 80,
         "kg/m2"},
        {"bwt", COHORTIUM__VAR_TYPE__INTEGER, COHORTIUM__ROLE__ORDINARY, 500, 6000, "g"},
        {"visit", COHORTIUM__VAR_TYPE__DATE, COHORTIUM__ROLE__ORDINARY, 10957, 21915, ""},
        {"secret", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__HIDDEN, 0, 1, ""},
        {"score", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__ORDINARY, -5, 5, ""},
        {"a", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__ORDINARY, 0, 100, ""},
        {"b", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__ORDINARY, 0, 100, ""},
        {"c", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__ORDINARY, 0, 100, ""},
        {"y", COHORTIUM__VAR_TYPE__REAL, COHORTIUM__ROLE__ORDINARY, 0, 100, ""},
        {"g", COHORTIUM__VAR_TYPE__INTEGER, COHORTIUM__ROLE__ORDINARY, 0, 5, ""},
        {"s", COHORTIUM__VAR_TYPE__CATEGORICAL, COHORTIUM__ROLE__ORDINARY, 0, 0, ""},
    };

    cohortium__codebook__init(&body);
    body.name = TEXT("lung");
    body.count_unit = TEXT("patient");
    body.patient_namespace = TEXT("patient");
    body.variables = list;
    body.n_variables = V_ALL;
    for (size_t i = 0; i < V_ALL; i++) {
        cohortium__variable__init(&v[i]);
        v[i].name = TEXT(rows[i].name);
        v[i].type = rows[i].type;
        v[i].role = rows[i].role;
        v[i].unit = TEXT(rows[i].unit);
        v[i].bounded = rows[i].lower < rows[i].upper;
        v[i].lower = rows[i].lower;
        v[i].upper = rows[i].upper;
        list[i] = &v[i];
    }
    v[V_SEX].levels = sex, v[V_SEX].n_levels = 2;
    v[V_DX].levels = dx, v[V_DX].n_levels = 5;
    v[V_GRADE].levels = grade, v[V_GRADE].n_levels = 3;
    v[V_S].levels = fm, v[V_S].n_levels = 2;
    v[V_AGE].grid = age_grid, v[V_AGE].n_grid = 5;
    v[V_BMI].grid = bmi_grid, v[V_BMI].n_grid = 3;
    return &body;
}
