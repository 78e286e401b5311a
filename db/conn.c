/* SPDX-License-Identifier: Apache-2.0 */
#include "db/conn_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

dr_err_t db_err(int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return DR_ERR_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return DR_ERR_NOT_FOUND;
    case SQLITE_IOERR_NOMEM:
        return DR_ERR_NOMEM;
    case SQLITE_CANTOPEN_ISDIR:
        return DR_ERR_INVAL;
    default:
        break;
    }
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return DR_OK;
    case SQLITE_FULL:
        return DR_ERR_NOSPACE;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return DR_ERR_READONLY;
    case SQLITE_NOMEM:
        return DR_ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return DR_ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DR_ERR_BUSY;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
        return DR_ERR_CANCELED;
    case SQLITE_TOOBIG:
        return DR_ERR_TOO_LARGE;
    case SQLITE_RANGE:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return DR_ERR_RANGE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
        return DR_ERR_IO;
    default:
        return DR_ERR_INTERNAL;
    }
}

dr_err_t conn_exec(struct db_reader *c, const char *sql)
{
    dr_assert(c->h != NULL);
    return db_err(sqlite3_exec(c->h, sql, NULL, NULL, NULL));
}

dr_err_t conn_int(struct db_reader *c, const char *sql, int64_t *ret)
{
    sqlite3_stmt *st = NULL;
    dr_err_t err = db_err(sqlite3_prepare_v2(c->h, sql, -1, &st, NULL));

    if (err != DR_OK) {
        return err;
    }
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *ret = sqlite3_column_int64(st, 0);
    } else {
        err = rc == SQLITE_DONE ? DR_ERR_NOT_FOUND : db_err(rc);
    }
    (void)sqlite3_finalize(st);
    return err;
}

static dr_err_t set_pragmas(struct db_reader *c, enum conn_mode mode, uint32_t cache_kib)
{
    char sql[96];
    dr_err_t err;

    (void)sqlite3_extended_result_codes(c->h, 1);
    (void)sqlite3_busy_timeout(c->h, 10000);
    (void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    (void)snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%u", cache_kib);
    err = conn_exec(c, sql);
    if (err == DR_OK) {
        err = conn_exec(c, "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
                           "PRAGMA secure_delete = FAST");
    }
    if (err == DR_OK && mode == CONN_READ) {
        err = conn_exec(c, "PRAGMA query_only = 1");
    }
    return err;
}

dr_err_t conn_open(struct db_reader *c, const char *path, enum conn_mode mode, const char *vfs,
                   uint32_t cache_kib, struct dr_errinfo *reterr)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;

    dr_assert(path != NULL);
    if (mode == CONN_CREATE) {
        flags |= SQLITE_OPEN_CREATE;
    }
    memset(c, 0, sizeof(*c));
    int rc = sqlite3_open_v2(path, &c->h, flags, vfs);
    dr_err_t err = rc == SQLITE_OK ? set_pragmas(c, mode, cache_kib) : db_err(rc);
    if (err != DR_OK) {
        dr_errinfo_set(reterr, path, 0, "%s",
                       c->h != NULL ? sqlite3_errmsg(c->h) : "out of memory");
        conn_close(c);
    }
    return err;
}

void conn_close(struct db_reader *c)
{
    for (size_t i = 0; i < CONN_STMTS_MAX; i++) {
        (void)sqlite3_finalize(c->stmts[i].st);
    }
    for (size_t i = 0; i < CONN_DYNAMIC_MAX; i++) {
        (void)sqlite3_finalize(c->dynamic[i].st);
        free(c->dynamic[i].sql);
    }
    (void)sqlite3_close(c->h);
    memset(c, 0, sizeof(*c));
}

/* Literals have fixed addresses, so looking a statement up costs a multiplication. */
struct conn_q conn_q(struct db_reader *c, const char *sql)
{
    struct conn_q q = {.c = c};
    size_t i = (size_t)(((uintptr_t)sql * 0x9e3779b97f4a7c15ULL) >> 55);

    dr_assert(c->h != NULL);
    for (;; i++) {
        i &= CONN_STMTS_MAX - 1;
        if (c->stmts[i].sql == sql) {
            q.st = c->stmts[i].st;
            /* Our bug: a row callback came back to the function that runs it. */
            dr_assert(sqlite3_stmt_busy(q.st) == 0);
            return q;
        }
        if (c->stmts[i].sql == NULL) {
            break;
        }
    }
    dr_assert(c->n_stmts < CONN_STMTS_MAX / 2);
    q.err = db_err(sqlite3_prepare_v3(c->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &q.st, NULL));
    if (q.err == DR_OK) {
        c->stmts[i].sql = sql;
        c->stmts[i].st = q.st;
        c->n_stmts++;
    }
    return q;
}

struct conn_q conn_q_dynamic(struct db_reader *c, const char *sql)
{
    struct conn_q q = {.c = c};

    for (size_t i = 0; i < CONN_DYNAMIC_MAX; i++) {
        if (c->dynamic[i].sql != NULL && strcmp(c->dynamic[i].sql, sql) == 0) {
            q.st = c->dynamic[i].st;
            return q;
        }
    }
    char *copy = strdup(sql);
    if (copy == NULL) {
        q.err = DR_ERR_NOMEM;
        return q;
    }
    q.err = db_err(sqlite3_prepare_v2(c->h, sql, -1, &q.st, NULL));
    if (q.err != DR_OK) {
        free(copy);
        return q;
    }
    unsigned slot = c->dynamic_next++ % CONN_DYNAMIC_MAX;
    (void)sqlite3_finalize(c->dynamic[slot].st);
    free(c->dynamic[slot].sql);
    c->dynamic[slot].sql = copy;
    c->dynamic[slot].st = q.st;
    return q;
}

static void bound(struct conn_q *q, int rc)
{
    if (rc != SQLITE_OK && q->err == DR_OK) {
        q->err = db_err(rc);
    }
}

void conn_put_int(struct conn_q *q, int64_t v)
{
    if (q->err == DR_OK) {
        bound(q, sqlite3_bind_int64(q->st, ++q->binds, v));
    }
}

static void put_text(struct conn_q *q, const char *v, size_t max)
{
    if (q->err != DR_OK) {
        return;
    }
    size_t len = strnlen(v, max + 1);
    if (len > max) {
        q->err = DR_ERR_RANGE;
        return;
    }
    bound(q, sqlite3_bind_text(q->st, ++q->binds, v, (int)len, SQLITE_STATIC));
}

void conn_put_text(struct conn_q *q, const char *v)
{
    put_text(q, v != NULL ? v : "", DB_TEXT_MAX);
}

void conn_put_json(struct conn_q *q, const char *v, const char *absent)
{
    put_text(q, v != NULL && v[0] != '\0' ? v : absent, DB_BLOB_MAX);
}

void conn_put_blob(struct conn_q *q, struct dr_bytes v)
{
    if (q->err != DR_OK) {
        return;
    }
    if (v.len > DB_BLOB_MAX) {
        q->err = DR_ERR_RANGE;
        return;
    }
    /* A NULL pointer would bind NULL. */
    bound(q, sqlite3_bind_blob(q->st, ++q->binds, v.p != NULL ? (const void *)v.p : "", (int)v.len,
                               SQLITE_STATIC));
}

bool conn_row(struct conn_q *q)
{
    if (q->err != DR_OK) {
        return false;
    }
    q->stepped = true;
    int rc = sqlite3_step(q->st);
    if (rc == SQLITE_ROW) {
        return true;
    }
    q->err = db_err(rc);
    return false;
}

int64_t conn_col_int(struct conn_q *q, int col)
{
    return sqlite3_column_int64(q->st, col);
}

const char *conn_col_text(struct conn_q *q, int col)
{
    const unsigned char *s = sqlite3_column_text(q->st, col);

    return s != NULL ? (const char *)s : "";
}

struct dr_bytes conn_col_blob(struct conn_q *q, int col)
{
    const void *p = sqlite3_column_blob(q->st, col);
    int len = sqlite3_column_bytes(q->st, col);

    return dr_bytes_of(p, p != NULL ? (size_t)len : 0);
}

dr_err_t conn_end(struct conn_q *q)
{
    if (q->st != NULL) {
        (void)sqlite3_reset(q->st);
        /* Bound memory is the caller's and may go away; nothing may be left pointing at it. */
        (void)sqlite3_clear_bindings(q->st);
        q->st = NULL;
    }
    return q->err;
}

dr_err_t conn_run(struct conn_q *q, int64_t *ret_changes)
{
    while (conn_row(q)) {
    }
    if (q->err == DR_OK && ret_changes != NULL) {
        *ret_changes = sqlite3_changes64(q->c->h);
    }
    return conn_end(q);
}

dr_err_t conn_run_one(struct conn_q *q, dr_err_t none)
{
    int64_t n = 0;
    dr_err_t err = conn_run(q, &n);

    return err == DR_OK && n == 0 ? none : err;
}
