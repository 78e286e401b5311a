/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/chain.h
 * @brief Trust anchors, and which of them a peer's chain leads to.
 *
 * Layer: certs.  Threads: a set is immutable once made, shared by reference count; verifying from
 * any thread.  Memory: some 2 KiB an anchor.  Limits: CERT_ANCHORS_MAX, CERT_DEPTH_MAX.
 * Security: an anchor stands for one account; a chain that leads to anchors of two accounts is
 * refused.  Spec: RFC5280#6, RFC7925#4.4.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "certs/x509.h"

#define CERT_ANCHORS_MAX 20000
/** Certificates between the leaf and its anchor. */
#define CERT_DEPTH_MAX   4
/** Revoked certificates kept in memory (40 bytes each). */
#define CERT_REVOKED_MAX 1000000

struct cert_anchors;

struct cert_anchor {
    struct dr_bytes der; /**< borrowed for the call */
    uint64_t tag;        /**< not 0; what cert_chain_verify answers with */
    int64_t account;     /**< 0: an authority of ours, the account is the OU that we signed */
    unsigned services;   /**< bits of CERT_SERVICE_* */
    bool enrollment;     /**< its devices need an enrollment */
};
#define CERT_SERVICE_LWM2M     1U
#define CERT_SERVICE_BOOTSTRAP 2U

/** A certificate that an account does not want any more; it says nothing for other accounts. */
struct cert_revoked {
    int64_t account;
    uint8_t fingerprint[CERT_SHA256_LEN];
};

/**
 * @param revoked  n_revoked of them, in any order; copied
 * @retval DR_ERR_PROTO   an anchor is no certificate; @p reterr says which
 * @retval DR_ERR_LIMIT, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t cert_anchors_new(const struct cert_anchor *anchors, size_t n,
                                   const struct cert_revoked *revoked, size_t n_revoked,
                                   struct cert_anchors **ret, struct dr_errinfo *reterr);
struct cert_anchors *cert_anchors_ref(struct cert_anchors *a);
/** NULL is fine. Returns NULL. */
struct cert_anchors *cert_anchors_unref(struct cert_anchors *a);

/**
 * Verify a peer's chain, leaf first; the others may come in any order.
 * @param service   one bit: anchors without it do not count
 * @param wall_ms   unix time at which all must be valid
 * @param ret_tag   the anchor; the leaf itself may be one
 * @retval DR_ERR_CRYPTO  signature, validity, usage, an unknown issuer
 * @retval DR_ERR_DENIED  the anchor's account has revoked one of the chain (with account 0 the
 *                        caller looks), or two accounts claim it
 * @retval DR_ERR_PROTO   not certificates, or too many
 */
DR_CHECK dr_err_t cert_chain_verify(const struct cert_anchors *a, unsigned service,
                                    const struct dr_bytes *chain, size_t n, int64_t wall_ms,
                                    uint64_t *ret_tag);
/** What stands behind a tag; der is empty. False: not (or no longer) trusted for @p service. */
bool cert_anchors_find(const struct cert_anchors *a, unsigned service, uint64_t tag,
                       struct cert_anchor *ret);
bool cert_anchors_is_revoked(const struct cert_anchors *a, int64_t account,
                             const uint8_t fingerprint[CERT_SHA256_LEN]);
