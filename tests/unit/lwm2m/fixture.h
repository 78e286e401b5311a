/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/lwm2m/fixture.h
 * @brief What the unit tests of lwm2m/ share: running a suite, hex, decoding into lists, comparing
 * nodes.
 *
 * Layer: tests.  Threads: one.  Memory: static buffers.  Limits: 128 KiB a payload.  Security:
 * none.  Spec: none.
 */
#pragma once

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "lwm2m/codec.h"

#define HEX_MAX 4096

/** Bytes of "C4 00 41"; blanks are skipped. */
static inline size_t hex(const char *text, uint8_t out[HEX_MAX])
{
    size_t n = 0;
    unsigned byte = 0;
    int used = 0;

    while (sscanf(text, " %2x%n", &byte, &used) == 1) {
        ck_assert_uint_lt(n, HEX_MAX);
        out[n++] = (uint8_t)byte;
        text += used;
    }
    return n;
}

static inline struct lwm2m_str str(const char *z)
{
    return (struct lwm2m_str){.ptr = z, .len = strlen(z)};
}

static inline struct lwm2m_path path_of(const char *text)
{
    struct lwm2m_path path;

    ck_assert_int_eq(lwm2m_path_parse(text, strlen(text), &path), DR_OK);
    return path;
}

/** One line a node: "/3/0/9 integer 87 @1700000000000" */
static inline void nodes_print(const struct lwm2m_nodes *nodes, char *out, size_t cap)
{
    struct dr_wr wr = dr_wr_of(out, cap - 1);

    for (size_t i = 0; i < nodes->count; i++) {
        const struct lwm2m_node *node = &nodes->items[i];
        char path[LWM2M_PATH_STR_MAX];
        (void)lwm2m_path_format(&node->path, path);
        dr_wr_put_str(&wr, i > 0 ? "; " : "");
        dr_wr_put_str(&wr, path);
        dr_wr_put_str(&wr, " ");
        dr_wr_put_str(&wr, lwm2m_type_name(node->value.type));
        if (node->value.type != LWM2M_TYPE_NONE) {
            dr_wr_put_str(&wr, " ");
            ck_assert_int_eq(lwm2m_value_to_text(&node->value, &wr), DR_OK);
        }
        if (node->timed) {
            dr_wr_printf(&wr, " @%lld", (long long)node->time_ms);
        }
    }
    ck_assert(dr_wr_ok(&wr));
    out[dr_wr_len(&wr)] = '\0';
}

/** Decode and compare with the print; @p want NULL = must fail with @p err. */
static inline void expect_decode(const char *why, uint16_t ct, const struct lwm2m_decode_opts *opts,
                                 const void *in, size_t len, dr_err_t err, const char *want)
{
    static char got[16384];
    struct lwm2m_nodes nodes;
    /* an exact copy, so that a sanitizer sees one byte too many */
    uint8_t *exact = malloc(len == 0 ? 1 : len);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, in, len);
    lwm2m_nodes_init(&nodes, 0, 0);
    dr_err_t is = lwm2m_decode_nodes(ct, opts, exact, len, &nodes);
    free(exact);
    ck_assert_msg(is == err, "%s: %s, expected %s", why, dr_err_name(is), dr_err_name(err));
    nodes_print(&nodes, got, sizeof(got));
    ck_assert_msg(strcmp(got, want == NULL ? "" : want) == 0, "%s:\n got  '%s'\n want '%s'", why,
                  got, want == NULL ? "" : want);
    lwm2m_nodes_fini(&nodes);
}

/** Encode and compare bytes; also with every smaller buffer, which must give DR_ERR_NOSPACE. */
static inline void expect_encode(const char *why, uint16_t ct, const char *base,
                                 const struct lwm2m_node *nodes, size_t count, const void *want,
                                 size_t want_len)
{
    static uint8_t buf[131072];
    const struct lwm2m_path path = path_of(base);
    struct dr_wr wr = dr_wr_of(buf, sizeof(buf));

    ck_assert_msg(lwm2m_encode(ct, &path, nodes, count, &wr) == DR_OK, "%s: not encoded", why);
    ck_assert_msg(dr_wr_len(&wr) == want_len && memcmp(buf, want, want_len) == 0,
                  "%s: other bytes, %zu for %zu", why, dr_wr_len(&wr), want_len);
    ck_assert_uint_le(want_len, lwm2m_encode_bound(nodes, count));
    for (size_t cap = 0; cap < want_len && cap < 300; cap++) {
        struct dr_wr small = dr_wr_of(buf, cap);
        ck_assert_msg(lwm2m_encode(ct, &path, nodes, count, &small) == DR_ERR_NOSPACE,
                      "%s: fits into %zu", why, cap);
    }
}

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
