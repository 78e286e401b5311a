/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_bootstrap.c
 * @brief What a bootstrapping device says: the query of its request or pack request in the first
 * line (parameters separated by `&`), its Discover answer behind it.
 */
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "lwm2m/bootstrap.h"
#include "lwm2m/register.h"

#define QUERY_MAX (LWM2M_REG_QUERY_MAX + 2)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_ids(const struct lwm2m_boot_found *found, uint16_t ssid, bool keep)
{
    uint16_t id;

    if (lwm2m_boot_security_id(found, ssid, keep, &id) == DR_OK) {
        for (uint8_t i = 0; i < found->n_security; i++) {
            const struct lwm2m_boot_instance *in = &found->security[i];
            dr_assert(in->id != id || in->ssid != 0); /* never the bootstrap account */
            dr_assert(!keep || in->id != id || in->ssid == ssid);
        }
    } else {
        dr_assert(found->more || found->n_security == LWM2M_BOOT_INSTANCES_MAX);
    }
    if (lwm2m_boot_server_id(found, ssid, keep, &id) == DR_OK) {
        for (uint8_t i = 0; i < found->n_server; i++) {
            dr_assert(!keep || found->server[i].id != id || found->server[i].ssid == ssid);
        }
    }
}

static void check_formats(uint16_t pct, struct lwm2m_version version)
{
    uint16_t formats[LWM2M_BOOT_FORMATS_MAX];
    size_t n = lwm2m_boot_formats(pct, version, formats);

    dr_assert(n >= 3 && n <= LWM2M_BOOT_FORMATS_MAX);
    dr_assert(pct == LWM2M_CT_NONE || formats[0] == pct);
    for (size_t i = 0; i < n; i++) {
        dr_assert(lwm2m_format_is_multi(formats[i]));
        for (size_t k = 0; k < i; k++) {
            dr_assert(formats[i] != formats[k]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lwm2m_str query[QUERY_MAX] = {{0}};
    struct lwm2m_boot_found found = {0}, before;
    struct lwm2m_bootstrap bs = {.pct = LWM2M_CT_NONE};
    const uint8_t *line = len == 0 ? NULL : memchr(data, '\n', len);
    size_t n = line == NULL ? len : (size_t)(line - data), count = 0, start = 0;

    for (size_t i = 0; n != 0 && i <= n && count < QUERY_MAX; i++) {
        if (i == n || data[i] == '&') {
            query[count++] = (struct lwm2m_str){(const char *)data + start, i - start};
            start = i + 1;
        }
    }
    if (lwm2m_bootstrap_parse(query, count, &bs, NULL) == DR_OK) {
        dr_assert(bs.ep.len <= LWM2M_REG_EP_MAX && bs.extra_count <= LWM2M_REG_EXTRA_MAX);
        for (size_t i = 0; i < bs.extra_count; i++) {
            if (lwm2m_str_eq(bs.extra[i].key, "acc")) {
                lwm2m_boot_accounts_read(bs.extra[i].value, &found);
            }
        }
        check_formats(bs.pct, found.version);
    }
    before = found;
    if (line != NULL) {
        dr_err_t err = lwm2m_boot_discover_read((const char *)line + 1, len - n - 1, &found);
        dr_assert(err == DR_OK || memcmp(&before, &found, sizeof found) == 0);
        check_formats(LWM2M_CT_NONE, found.version);
    }
    dr_assert(lwm2m_boot_found_servers(&found) <= found.n_security);
    check_ids(&found, 101, false);
    check_ids(&found, 101, true);
    return 0;
}
