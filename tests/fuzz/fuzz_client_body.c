/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_body.c
 * @brief Bodies that the reference client reads: TLV and SenML CBOR writes to objects 0, 1 and 3,
 * also of a bootstrap, the answer to an enrolment, and addresses.
 *
 * Input: a byte that chooses the path and form, then the body.
 */
#include <stdlib.h>

#include "client/core/client_priv.h"
#include "client/core/device.h"
#include "client/core/enrol.h"
#include "tests/unit/client/net_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct cl_client cl;
static struct cl_device dev;

static void address(const uint8_t *data, size_t len)
{
    char text[CL_URI_MAX];
    struct cl_uri uri;

    len = len < sizeof text - 1 ? len : sizeof text - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    if (cl_uri_parse(text, &uri) == CL_OK && (uri.port == 0 || uri.host[0] == '\0')) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct cl_path paths[] = {
        {.depth = 1, .id = {0}},       {.depth = 2, .id = {0, 0}},    {.depth = 1, .id = {1}},
        {.depth = 2, .id = {1, 0}},    {.depth = 3, .id = {1, 0, 1}}, {.depth = 2, .id = {3, 0}},
        {.depth = 3, .id = {3, 0, 13}}};
    struct cl_config config = {.endpoint = "fuzz", .lifetime_s = 60};
    struct cl_bytes der;

    if (len == 0) {
        return 0;
    }
    uint8_t how = *data++;
    len--;
    net_reset();
    if (cl_init(&cl, &config, NULL, NULL) != CL_OK || cl_device_init(&dev, &cl) != CL_OK) {
        abort();
    }
    cl.accounts.account[CL_BOOTSTRAPPER].there = true;
    cl.accounts.account[CL_BOOTSTRAPPER].inst = 1;
    struct cl_write w = {.objects = &cl.objects,
                         .path = paths[(how & 15) % (sizeof paths / sizeof paths[0])],
                         .format = (how & 16) != 0 ? CL_FMT_TLV : CL_FMT_SENML_CBOR,
                         .body = {data, len},
                         .bootstrap = (how & 32) != 0};
    if (cl_write(&w) == CL_OK) {
        (void)cl_bootstrap_consistent(&cl);
    }
    if (!cl.accounts.account[CL_BOOTSTRAPPER].there) {
        abort(); /* it always stays */
    }
    if (cl_enrol_certificate(w.body, &der) == CL_OK &&
        (der.len == 0 || der.p < data || der.p + der.len > data + len)) {
        abort();
    }
    address(data, len);
    cl_fini(&cl);
    return 0;
}
