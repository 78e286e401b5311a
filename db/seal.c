/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setting (account 0, "master_check") holds in hex a known text, sealed: whoever opens the database
 * with another master key hears so at once, and not from devices that cannot connect any more.
 */
#include "db/seal_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "db/db_priv.h"

#define CHECK_TEXT "drover master key"
#define LABEL_MAX  48
/** Rows sealed in one transaction. */
#define BATCH      1000

static struct dr_bytes label_make(char buf[LABEL_MAX], const char *kind, int64_t id)
{
    int n = snprintf(buf, LABEL_MAX, "%s %lld", kind, (long long)id);

    return dr_bytes_of(buf, n < 0 ? 0 : (size_t)n);
}

dr_err_t seal_put(const struct db_reader *c, const char *kind, int64_t id, struct dr_bytes plain,
                  struct seal_text *ret)
{
    char label[LABEL_MAX];

    dr_assert(c != NULL && kind != NULL && ret != NULL);
    if (plain.len > SEAL_PLAIN_MAX) {
        return DR_ERR_RANGE;
    }
    ret->sealed = c->seal != NULL && plain.len != 0;
    if (ret->sealed) {
        return c->seal->seal(c->seal->data, label_make(label, kind, id), plain, ret->bytes,
                             sizeof ret->bytes, &ret->len);
    }
    if (plain.len != 0) {
        memcpy(ret->bytes, plain.p, plain.len);
    }
    ret->len = plain.len;
    return DR_OK;
}

dr_err_t seal_get(const struct db_reader *c, const char *kind, int64_t id, bool sealed,
                  struct dr_bytes column, struct seal_text *ret)
{
    char label[LABEL_MAX];

    dr_assert(c != NULL && kind != NULL && ret != NULL);
    ret->sealed = false;
    if (sealed) {
        return c->seal == NULL ? DR_ERR_CRYPTO
                               : c->seal->unseal(c->seal->data, label_make(label, kind, id), column,
                                                 ret->bytes, sizeof ret->bytes, &ret->len);
    }
    if (column.len > sizeof ret->bytes) {
        return DR_ERR_CORRUPT;
    }
    if (column.len != 0) {
        memcpy(ret->bytes, column.p, column.len);
    }
    ret->len = column.len;
    return DR_OK;
}

static dr_err_t check_insert(struct db_reader *c)
{
    struct seal_text text;
    char hex[DR_HEX_LEN(SEAL_SEALED_MAX) + 1];
    dr_err_t err = seal_put(c, "master", 0, dr_bytes_str(CHECK_TEXT), &text);

    if (err != DR_OK) {
        return err;
    }
    dr_hex_encode(text.bytes, text.len, hex);
    struct conn_q q =
        conn_q(c, "INSERT INTO setting (account, name, value) VALUES (0, 'master_check', ?)");
    conn_put_text(&q, hex);
    return conn_run(&q, NULL);
}

static dr_err_t check(struct db_reader *c, struct dr_errinfo *reterr)
{
    uint8_t sealed[SEAL_SEALED_MAX];
    struct seal_text text;
    size_t len = 0;
    struct conn_q q =
        conn_q(c, "SELECT value FROM setting WHERE account = 0 AND name = 'master_check'");
    bool found = conn_row(&q);
    dr_err_t err = DR_OK;

    if (found) {
        const char *hex = conn_col_text(&q, 0);
        err = dr_hex_decode(hex, strlen(hex), sealed, sizeof sealed, &len);
    }
    dr_err_t end = conn_end(&q);
    if (end != DR_OK) {
        return end;
    }
    if (!found) {
        return check_insert(c);
    }
    err = err == DR_OK ? seal_get(c, "master", 0, true, dr_bytes_of(sealed, len), &text) : err;
    if (err != DR_OK) {
        dr_errinfo_set(reterr, "master key", 0,
                       "is not the one that this database was sealed with: put the old "
                       "keys/master.key (or credential) back");
        return DR_ERR_CRYPTO;
    }
    return DR_OK;
}

static dr_err_t psk_seal(struct db_reader *c, int64_t id, struct dr_bytes key)
{
    struct seal_text text;
    dr_err_t err = seal_put(c, "psk", id, key, &text);

    if (err != DR_OK) {
        return err;
    }
    struct conn_q q = conn_q(c, "UPDATE psk SET key = ?, sealed = ? WHERE id = ?");
    conn_put_blob(&q, dr_bytes_of(text.bytes, text.len));
    conn_put_int(&q, text.sealed);
    conn_put_int(&q, id);
    return conn_run(&q, NULL);
}

/* One plain row of those that are left. */
static dr_err_t psk_next(struct db_reader *c)
{
    uint8_t key[SEAL_PLAIN_MAX];
    struct conn_q q = conn_q(c, "SELECT id, key FROM psk INDEXED BY psk_plain WHERE sealed = 0"
                                " LIMIT 1");
    bool found = conn_row(&q);
    int64_t id = found ? conn_col_int(&q, 0) : 0;
    struct dr_bytes column = found ? conn_col_blob(&q, 1) : (struct dr_bytes){0};
    size_t len = column.len;

    if (len > sizeof key) {
        (void)conn_end(&q);
        return DR_ERR_CORRUPT;
    }
    if (len != 0) {
        memcpy(key, column.p, len);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        err = found ? psk_seal(c, id, dr_bytes_of(key, len)) : DR_ERR_NOT_FOUND;
    }
    dr_wipe(key, sizeof key);
    return err;
}

dr_err_t seal_begin(struct db_reader *c, struct dr_errinfo *reterr)
{
    dr_assert(c != NULL && c->seal != NULL);
    dr_err_t err = check(c, reterr);

    if (err != DR_OK) {
        return err;
    }
    int64_t plain = 0;
    err = conn_int(c, "SELECT EXISTS (SELECT 1 FROM psk INDEXED BY psk_plain WHERE sealed = 0)",
                   &plain);
    if (err != DR_OK || plain == 0) {
        return err;
    }
    /* what a row was before is overwritten, also in the log */
    err = conn_exec(c, "PRAGMA secure_delete = ON");
    for (bool more = err == DR_OK; more;) {
        err = conn_exec(c, "BEGIN IMMEDIATE");
        for (int i = 0; i < BATCH && err == DR_OK; i++) {
            err = psk_next(c);
        }
        more = err == DR_OK;
        dr_err_t end = conn_exec(c, "COMMIT");
        err = err == DR_ERR_NOT_FOUND || err == DR_OK ? end : err;
        more = more && err == DR_OK;
    }
    if (err == DR_OK) {
        err = conn_exec(c, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA secure_delete = OFF");
    }
    if (err != DR_OK) {
        dr_errinfo_set(reterr, DB_FILE, 0, "cannot seal the pre-shared keys: %s", dr_err_str(err));
    }
    return err;
}
