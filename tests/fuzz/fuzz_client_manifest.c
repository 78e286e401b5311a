/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_manifest.c
 * @brief The device's manifest check: any bytes, with and without a signature that counts; what it
 * accepts, the server's parser accepts, too.
 */
#include <stdlib.h>

#include "client/core/manifest.h"
#include "client/hal.h"
#include "manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

bool hal_flash_read(uint32_t addr, void *buf, size_t len)
{
    (void)addr;
    (void)buf;
    (void)len;
    return false; /* there is no flash here */
}

static bool signed_by_anyone;

static bool verify(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                   const uint8_t sig[CL_SIG_LEN])
{
    (void)trust;
    (void)hash;
    (void)sig;
    return signed_by_anyone;
}

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct cl_trust trust = {.verify = verify};
    static const char *const names[] = {"MAIN"};
    static const uint32_t versions[] = {1};
    struct cl_manifest_means means = {.trust = &trust,
                                      .components = names,
                                      .versions = versions,
                                      .component_count = 1,
                                      .vendor_data_max = 64,
                                      .all_formats = true};
    struct cl_manifest m = {.size = 0};
    struct manifest sm;

    signed_by_anyone = false;
    require(cl_manifest_check(data, len, &means, &m) != CL_RESULT_OK && m.size == 0);
    signed_by_anyone = true;
    dr_err_t err = manifest_parse(dr_bytes_of(data, len), &sm, NULL);
    if (err == DR_OK && sm.format == MANIFEST_V3) {
        memcpy(means.vendor, sm.vendor.p, sizeof means.vendor);
        memcpy(means.class_id, sm.class_id.p, sizeof means.class_id);
        means.precursor = sm.images[0].precursor.p;
    }
    enum cl_result got = cl_manifest_check(data, len, &means, &m);
    if (got != CL_RESULT_OK) {
        return 0;
    }
    require(m.size > 0 && m.uri_len > 0 && m.uri_len <= CL_PAYLOAD_URI_MAX && m.version > 1);
    /* a device ignores what follows the manifest, the server does not */
    size_t outer = data[1] == 0x82   ? 4 + ((size_t)data[2] << 8 | data[3])
                   : data[1] == 0x81 ? 3 + (size_t)data[2]
                                     : 2 + (size_t)data[1];
    require(outer <= len);
    require(manifest_parse(dr_bytes_of(data, m.key != NULL ? len : outer), &sm, NULL) == DR_OK);
    require(sm.images[0].size == m.size && sm.priority == m.priority);
    return 0;
}
