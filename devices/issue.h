/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/issue.h
 * @brief Certificates that we give to devices, and the row of each.
 *
 * Layer: devices.  Threads: any (better the pool: signing takes some 50 us).  Memory: one block; a
 * row under way is one small block.  Limits: none of its own.
 * Security: account, device and endpoint are what the caller has established, never what a request
 * says.  Spec: RFC5280#4.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "certs/issue.h"

struct db;
struct dev_issuer;

struct dev_issue_for {
    int64_t account, device;
    const char *endpoint; /**< becomes the CN; OU = account, L = device */
    const char *name;     /**< of the certificate on the device: "LWM2M" … */
};

/** @param authority  borrowed, like @p db */
DR_CHECK dr_err_t dev_issuer_new(const struct cert_authority *authority, struct db *db,
                                 struct dev_issuer **ret);
/** After the database is closed. NULL is fine. Returns NULL. */
struct dev_issuer *dev_issuer_free(struct dev_issuer *i);

/** A new key and its certificate. @p ret_key is the caller's. Errors as cert_issue_key. */
DR_CHECK dr_err_t dev_issue_key(struct dev_issuer *i, const struct dev_issue_for *who,
                                struct cert_issued *ret, struct cert_key **ret_key);
/** A certificate for the key of a request. Errors as cert_issue_csr. */
DR_CHECK dr_err_t dev_issue_csr(struct dev_issuer *i, const struct dev_issue_for *who,
                                const struct cert_csr *csr, struct cert_issued *ret);
