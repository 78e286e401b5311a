/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/seal_priv.h
 * @brief Sealing of columns, and the check that the master key is the one of this database.
 *
 * Layer: db, private.  Threads: as of the connection.  Memory: the caller's.
 * Limits: SEAL_PLAIN_MAX.  Security: without functions secrets are stored plain (tests).
 * Spec: none.
 */
#pragma once

#include "db/conn_priv.h"
#include "db/seal.h"

#define SEAL_PLAIN_MAX  512
#define SEAL_SEALED_MAX (SEAL_PLAIN_MAX + DB_SEAL_EXTRA_MAX)

/** A secret as it stands in a column. */
struct seal_text {
    uint8_t bytes[SEAL_SEALED_MAX];
    size_t len;
    bool sealed;
};

/** @param kind  of the row: "psk". @param id  of the row. @retval DR_ERR_RANGE  too long */
DR_CHECK dr_err_t seal_put(const struct db_reader *c, const char *kind, int64_t id,
                           struct dr_bytes plain, struct seal_text *ret);
/** @param ret  plain bytes; the caller wipes them. @retval DR_ERR_CRYPTO */
DR_CHECK dr_err_t seal_get(const struct db_reader *c, const char *kind, int64_t id, bool sealed,
                           struct dr_bytes column, struct seal_text *ret);

/**
 * At opening, when there are functions: is the master key that of this database? Then seal what
 * older versions stored plain.
 * @retval DR_ERR_CRYPTO  another master key; @p reterr says what to do
 */
DR_CHECK dr_err_t seal_begin(struct db_reader *c, struct dr_errinfo *reterr);
