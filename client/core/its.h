/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/its.h
 * @brief The secure storage API of PSA over the store: where Mbed TLS keeps persistent keys.
 *
 * Layer: client/core.  Threads: one loop.  Memory: a pointer to the store.
 * Limits: CL_KVS_VALUE_MAX bytes a value.
 * Security: values lie in clear in flash; read-out protection is the board's duty. These functions
 * replace those of Debian's library when they are linked into the program, so that no key reaches a
 * file of its own.  Spec: PSA Secure Storage API 1.0, Internal Trusted Storage.
 */
#pragma once

#include "client/core/kvs.h"

/** Keys of the store with this bit are not PSA's: programs keep their own values there. */
#define CL_KEY_OWN (UINT64_C(1) << 63)

/** Use @p kvs (borrowed, open) from now on; NULL: every call fails. Before psa_crypto_init(). */
void cl_its_mount(struct cl_kvs *kvs);

/* The four functions that Mbed TLS calls. */

typedef int32_t cl_psa_status; /* psa_status_t */

struct psa_storage_info_t {
    uint32_t size;
    uint32_t flags;
};

/* visible to the shared library, which looks here before it looks into itself */
#define CL_PSA_CALL __attribute__((visibility("default"))) cl_psa_status

CL_PSA_CALL psa_its_set(uint64_t uid, uint32_t len, const void *data, uint32_t flags);
CL_PSA_CALL psa_its_get(uint64_t uid, uint32_t offset, uint32_t cap, void *data, size_t *ret_len);
CL_PSA_CALL psa_its_get_info(uint64_t uid, struct psa_storage_info_t *ret);
CL_PSA_CALL psa_its_remove(uint64_t uid);
