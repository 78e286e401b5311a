/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_package.c
 * @brief Packages pushed to the update engine in parts of any size, signatures granted: what it
 * takes for an image is one, and the slot that runs stays as it is.
 *
 * Input: a byte that says the size of the parts, then the package.
 */
#include <stdlib.h>

#include "client/core/fw.h"
#include "tests/unit/client/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static bool granted(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                    const uint8_t sig[CL_SIG_LEN])
{
    (void)trust;
    (void)hash;
    (void)sig;
    return true;
}

static void on_changed(void *ctx, uint16_t obj, uint16_t inst, uint16_t res)
{
    (void)ctx;
    require(obj == 5 && inst == 0 && (res == 3 || res == 5));
}

static bool on_unsent(void *ctx, uint16_t obj, uint16_t inst, uint16_t res)
{
    (void)ctx;
    (void)obj;
    (void)inst;
    (void)res;
    return false;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static cl_err_t no_fetch(void *ctx, const char *uri, size_t uri_len, uint32_t offset)
{
    (void)ctx;
    (void)uri;
    (void)uri_len;
    (void)offset;
    abort(); /* a pushed package needs none */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct cl_trust trust = {.verify = granted};
    static const struct cl_fw_ops ops = {.changed = on_changed,
                                         .unsent = on_unsent,
                                         .fetch = no_fetch,
                                         .fetch_stop = nothing,
                                         .reset = nothing,
                                         .kick = nothing};
    struct cl_layout lay;
    struct cl_kvs kvs;
    struct cl_fw fw;
    uint8_t before[RIG_SLOT];

    if (len < 2) {
        return 0;
    }
    rig_reset();
    require(cl_layout_init(RIG_SLOT, &lay) == CL_OK);
    require(cl_kvs_open(&kvs, lay.store_base, lay.store_area) == CL_OK);
    struct cl_fw_config conf = {
        .lay = &lay, .trust = &trust, .kvs = &kvs, .boot = {CL_BOOT_RUN, 1}, .built_in = 1};
    require(cl_fw_init(&fw, &conf, &ops) == CL_OK);
    memcpy(before, rig.mem + RIG_SLOT, sizeof before);
    cl_fw_registered(&fw);

    size_t part = (size_t)data[0] * 4 + 1, at = 1;
    for (bool more = true; more; at += part) {
        size_t n = len - at < part ? len - at : part;
        more = at + n < len;
        if (cl_fw_package(&fw, at - 1, data + at, n, !more) != CL_OK) {
            more = false;
        }
        (void)cl_fw_step(&fw, at);
    }
    require(cl_fw_state5(&fw) <= 2);
    if (cl_fw_state5(&fw) == 2) {
        struct cl_slot_state s;
        cl_slot_read(&lay, &trust, 0, &s);
        require(s.valid && !s.pending);
        require(cl_fw_update(&fw) == CL_OK);
    } else {
        require(cl_fw_update(&fw) == CL_ERR_DENIED);
    }
    require(memcmp(before, rig.mem + RIG_SLOT, sizeof before) == 0);
    return 0;
}
