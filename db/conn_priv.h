/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/conn_priv.h
 * @brief One SQLite connection: opening, cached statements, binding and columns, error translation.
 *
 * Layer: db, private.  Threads: a connection belongs to one thread.
 * Memory: bound values are borrowed until the statement is stepped; columns until the next step.
 * Limits: CONN_STMTS_MAX cached statements.  Security: SQL text is ours, values are only bound.
 * Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"

/** Power of two, well above the number of SQL literals in this folder. */
#define CONN_STMTS_MAX   512
/** Dynamic statements (lists with filters) kept by text. */
#define CONN_DYNAMIC_MAX 64
#define CONN_SQL_MAX     16384

struct db_seal;

/** struct db_reader is this and nothing else. */
struct db_reader {
    sqlite3 *h; /**< owned */
    struct {
        const char *sql; /**< address of the literal = its identity */
        sqlite3_stmt *st;
    } stmts[CONN_STMTS_MAX];
    unsigned n_stmts;
    struct {
        char *sql; /**< owned */
        sqlite3_stmt *st;
    } dynamic[CONN_DYNAMIC_MAX];
    unsigned dynamic_next;
    const struct db_seal *seal; /**< borrowed; NULL = secrets are stored plain */
};

enum conn_mode { CONN_CREATE, CONN_WRITE, CONN_READ };

/**
 * @param vfs       NULL = default
 * @param cache_kib page cache
 * @param reterr    may be NULL
 */
DR_CHECK dr_err_t conn_open(struct db_reader *c, const char *path, enum conn_mode mode,
                            const char *vfs, uint32_t cache_kib, struct dr_errinfo *reterr);
/** A zeroed or closed one is allowed. */
void conn_close(struct db_reader *c);

/** What an SQLite result code (extended) means to those above. */
dr_err_t db_err(int rc);

/** Run constant SQL without rows or values. */
DR_CHECK dr_err_t conn_exec(struct db_reader *c, const char *sql);
/** First column of the first row of constant SQL. @retval DR_ERR_NOT_FOUND no row */
DR_CHECK dr_err_t conn_int(struct db_reader *c, const char *sql, int64_t *ret);

/** One execution of a statement. The error is sticky: look at it once, at the end. */
struct conn_q {
    struct db_reader *c;
    sqlite3_stmt *st;
    int binds;
    bool stepped;
    dr_err_t err;
};

/** @param sql  a literal: its address is the key of the cache */
struct conn_q conn_q(struct db_reader *c, const char *sql);
/** @param sql  built text, cached by content */
struct conn_q conn_q_dynamic(struct db_reader *c, const char *sql);

/* Values in the order of their '?'. */
void conn_put_int(struct conn_q *q, int64_t v);
/** NULL is "". DR_ERR_RANGE over DB_TEXT_MAX. */
void conn_put_text(struct conn_q *q, const char *v);
/** As conn_put_text(), up to DB_BLOB_MAX. */
void conn_put_json(struct conn_q *q, const char *v, const char *absent);
void conn_put_blob(struct conn_q *q, struct dr_bytes v);

/** The next row. False at the end and after an error. */
bool conn_row(struct conn_q *q);
int64_t conn_col_int(struct conn_q *q, int col);
/** Never NULL. */
const char *conn_col_text(struct conn_q *q, int col);
struct dr_bytes conn_col_blob(struct conn_q *q, int col);

/** Done with the rows: reset; the sticky error. */
dr_err_t conn_end(struct conn_q *q);
/** Run a statement without rows to its end. @param ret_changes rows it changed; may be NULL */
DR_CHECK dr_err_t conn_run(struct conn_q *q, int64_t *ret_changes);
/** conn_run(), and @p none when it changed no row. */
DR_CHECK dr_err_t conn_run_one(struct conn_q *q, dr_err_t none);
