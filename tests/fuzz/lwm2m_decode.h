/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/lwm2m_decode.h
 * @brief Body of the payload fuzz targets: decode typed and untyped; what came out must encode and
 * decode to the same.
 *
 * Layer: tests.  Threads: one.  Memory: the models stay until the end of the process.  Limits:
 * none.  Security: none.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "lwm2m/codec.h"

static const struct lwm2m_models *fuzz_models(void)
{
    static struct lwm2m_models *models;

    if (models == NULL) {
        dr_err_t err = lwm2m_models_new(&models);
        dr_assert(err == DR_OK);
    }
    return models;
}

static void fuzz_round_trip(uint16_t ct, const struct lwm2m_decode_opts *opts,
                            const struct lwm2m_path *base, const struct lwm2m_nodes *nodes)
{
    struct lwm2m_nodes again;
    uint8_t *out = NULL;
    size_t len = 0;

    if (ct == LWM2M_CT_TEXT && nodes->count > 0 &&
        nodes->items[0].value.type == LWM2M_TYPE_OPAQUE) {
        return; /* bytes that were no text: written, they are base64 */
    }
    if (lwm2m_encode_alloc(ct, base, nodes->items, nodes->count, &out, &len) != DR_OK) {
        return; /* an order or a value that devices may send and we may not */
    }
    lwm2m_nodes_init(&again, 0, 0);
    dr_err_t err = lwm2m_decode_nodes(ct, opts, out, len, &again);
    dr_assert(err == DR_OK && again.count == nodes->count);
    for (size_t i = 0; i < again.count; i++) {
        dr_assert(lwm2m_path_eq(&again.items[i].path, &nodes->items[i].path));
        struct lwm2m_value v;
        /* types may be told less exactly, but no value changes */
        dr_assert(
            lwm2m_value_eq(&again.items[i].value, &nodes->items[i].value) ||
            lwm2m_value_coerce(&again.items[i].value, nodes->items[i].value.type, &v) == DR_OK ||
            lwm2m_value_coerce(&nodes->items[i].value, again.items[i].value.type, &v) == DR_OK);
    }
    lwm2m_nodes_fini(&again);
    free(out);
}

/** The first byte chooses path and schema, the rest is the payload. */
static int fuzz_payload(uint16_t ct, const uint8_t *data, size_t len, bool absolute)
{
    static const struct lwm2m_path bases[] = {
        {{0}, 0},        {{3}, 1},           {{3, 0}, 2},
        {{3, 0, 11}, 3}, {{3, 0, 11, 0}, 4}, {{3303, 0, 5700}, 3},
        {{1, 0}, 2},     {{5, 0, 0}, 3},
    };
    const struct lwm2m_schema schema = {.models = fuzz_models(), .enabler = LWM2M_VERSION(1, 2)};
    struct lwm2m_nodes nodes;

    if (len == 0) {
        return 0;
    }
    struct lwm2m_decode_opts opts = {.schema = (data[0] & 8) != 0 ? &schema : NULL,
                                     .base = bases[data[0] & 7],
                                     .relative = (data[0] & 16) != 0,
                                     .now_ms = 1700000000000};
    const struct lwm2m_path root = LWM2M_PATH_ROOT;
    /* a heap copy of exactly that size: one byte too many is seen */
    uint8_t *exact = malloc(len);
    dr_assert(exact != NULL);
    for (size_t i = 1; i < len; i++) {
        exact[i - 1] = data[i];
    }
    lwm2m_nodes_init(&nodes, 0, 0);
    if (lwm2m_decode_nodes(ct, &opts, exact, len - 1, &nodes) == DR_OK) {
        fuzz_round_trip(ct, &opts, absolute && !opts.relative ? &root : &opts.base, &nodes);
    } else {
        dr_assert(nodes.count == 0);
    }
    lwm2m_nodes_fini(&nodes);
    free(exact);
    return 0;
}
