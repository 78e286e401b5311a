/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/its.h"

#include <psa/crypto.h>

/* The flags of the API; all but write-once promise less than a store in internal flash gives. */
#define FLAG_WRITE_ONCE 1u
#define FLAGS_KNOWN     7u

static struct cl_kvs *store;

void cl_its_mount(struct cl_kvs *kvs)
{
    store = kvs;
}

static psa_status_t status_of(cl_err_t err)
{
    switch (err) {
    case CL_OK:
        return PSA_SUCCESS;
    case CL_ERR_NOENT:
        return PSA_ERROR_DOES_NOT_EXIST;
    case CL_ERR_DENIED:
        return PSA_ERROR_NOT_PERMITTED;
    case CL_ERR_SPACE:
        return PSA_ERROR_INSUFFICIENT_STORAGE;
    default:
        return PSA_ERROR_STORAGE_FAILURE;
    }
}

/* Ids that PSA may use: not 0 and none of the program's own. */
static bool is_usable(uint64_t uid)
{
    return store != NULL && uid != 0 && (uid & CL_KEY_OWN) == 0;
}

cl_psa_status psa_its_set(uint64_t uid, uint32_t len, const void *data, uint32_t flags)
{
    if (!is_usable(uid) || (data == NULL && len != 0)) {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    if ((flags & ~FLAGS_KNOWN) != 0) {
        return PSA_ERROR_NOT_SUPPORTED;
    }
    return status_of(
        cl_kvs_set(store, uid, data, len, (flags & FLAG_WRITE_ONCE) != 0 ? CL_KVS_WRITE_ONCE : 0));
}

cl_psa_status psa_its_get(uint64_t uid, uint32_t offset, uint32_t cap, void *data, size_t *ret_len)
{
    uint8_t value[CL_KVS_VALUE_MAX];
    size_t len = 0;

    if (!is_usable(uid) || ret_len == NULL || (data == NULL && cap != 0)) {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    cl_err_t err = cl_kvs_get(store, uid, value, sizeof value, &len, NULL);
    if (err == CL_OK && offset > len) {
        err = CL_ERR_INVAL;
    }
    if (err == CL_OK) {
        len = len - offset < cap ? len - offset : cap;
        if (len != 0) {
            memcpy(data, value + offset, len);
        }
        *ret_len = len;
    }
    memset(value, 0, sizeof value);
    __asm__ volatile("" : : "r"(value) : "memory"); /* the wiping counts */
    return err == CL_ERR_INVAL ? PSA_ERROR_INVALID_ARGUMENT : status_of(err);
}

cl_psa_status psa_its_get_info(uint64_t uid, struct psa_storage_info_t *ret)
{
    size_t len = 0;
    uint16_t flags = 0;

    if (!is_usable(uid) || ret == NULL) {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    cl_err_t err = cl_kvs_get(store, uid, NULL, 0, &len, &flags);
    if (err == CL_OK) {
        *ret = (struct psa_storage_info_t){(uint32_t)len,
                                           (flags & CL_KVS_WRITE_ONCE) != 0 ? FLAG_WRITE_ONCE : 0};
    }
    return status_of(err);
}

cl_psa_status psa_its_remove(uint64_t uid)
{
    if (!is_usable(uid)) {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    return status_of(cl_kvs_remove(store, uid));
}
