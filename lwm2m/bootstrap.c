/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Discover answer and what is read out of it:
 *
 *     </>;lwm2m=1.1,</0/0>;ssid=101;uri="coaps://a:5684",</0/1>,</1/0>;ssid=101,</3/0>,</5>
 *
 * security = {0: 101, 1: none}, server = {0: 101}; /0/1 without ssid is the account of the
 * bootstrap server, so the next account of a server goes to /0/0, or beside it to /0/2.
 */
#include "lwm2m/bootstrap.h"

#include <string.h>

#include "base/text.h"
#include "lwm2m/linkfmt.h"

static struct lwm2m_boot_instance *instance_of(struct lwm2m_boot_instance *list, uint8_t *n,
                                               uint16_t id, bool *more)
{
    for (uint8_t i = 0; i < *n; i++) {
        if (list[i].id == id) {
            return &list[i];
        }
    }
    if (*n == LWM2M_BOOT_INSTANCES_MAX) {
        *more = true;
        return NULL;
    }
    list[*n] = (struct lwm2m_boot_instance){.id = id};
    return &list[(*n)++];
}

static uint16_t ssid_of(const struct lwm2m_link_entry *entry)
{
    struct lwm2m_str text;
    uint64_t ssid;

    if (!lwm2m_link_entry_attr(entry, "ssid", &text) || text.ptr == NULL ||
        dr_parse_u64_max(text.ptr, text.len, LWM2M_SSID_MAX, &ssid) != DR_OK) {
        return 0;
    }
    return (uint16_t)ssid;
}

static void version_read(const struct lwm2m_link_entry *entry, struct lwm2m_boot_found *found)
{
    struct lwm2m_str text;
    struct lwm2m_version version;

    if (lwm2m_link_entry_attr(entry, "lwm2m", &text) && text.ptr != NULL &&
        lwm2m_version_parse(text, &version) == DR_OK) {
        found->version = version;
    }
}

static dr_err_t link_read(void *arg, const struct lwm2m_link_entry *entry)
{
    struct lwm2m_boot_found *found = arg;
    struct lwm2m_boot_instance *in = NULL;
    struct lwm2m_path path;

    /* spec: LWM2M-1.0-CORE#5.2.7.3: the version stands without a link in front */
    if (lwm2m_path_parse_tolerant(entry->target.ptr, entry->target.len, &path) != DR_OK) {
        return DR_OK;
    }
    if (path.depth == LWM2M_LEVEL_ROOT) {
        version_read(entry, found);
        return DR_OK;
    }
    found->has_access = found->has_access || path.id[0] == LWM2M_OBJ_ACCESS_CONTROL;
    found->has_oscore = found->has_oscore || path.id[0] == LWM2M_OBJ_OSCORE;
    if (path.depth != LWM2M_LEVEL_INSTANCE) {
        return DR_OK;
    }
    if (path.id[0] == LWM2M_OBJ_SECURITY) {
        in = instance_of(found->security, &found->n_security, path.id[1], &found->more);
    } else if (path.id[0] == LWM2M_OBJ_SERVER) {
        in = instance_of(found->server, &found->n_server, path.id[1], &found->more);
    }
    if (in != NULL) {
        in->ssid = ssid_of(entry);
    }
    return DR_OK;
}

dr_err_t lwm2m_boot_discover_read(const char *text, size_t len, struct lwm2m_boot_found *ret)
{
    dr_assert(ret != NULL && (text != NULL || len == 0));
    struct lwm2m_boot_found found = *ret;

    if (len > LWM2M_BOOT_DISCOVER_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    dr_err_t err = lwm2m_linkfmt_read(text, len, link_read, &found);
    if (err == DR_ERR_LIMIT) {
        err = DR_ERR_PROTO;
    }
    if (err == DR_OK) {
        *ret = found;
    }
    return err;
}

void lwm2m_boot_accounts_read(struct lwm2m_str list, struct lwm2m_boot_found *ret)
{
    dr_assert(ret != NULL);
    while (list.len != 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.ptr);
        uint64_t id;
        if (dr_parse_u64_max(list.ptr, len, LWM2M_ID_MAX, &id) == DR_OK) {
            (void)instance_of(ret->security, &ret->n_security, (uint16_t)id, &ret->more);
        }
        len += comma == NULL ? 0 : 1;
        list.ptr += len;
        list.len -= len;
    }
}

unsigned lwm2m_boot_found_servers(const struct lwm2m_boot_found *found)
{
    dr_assert(found != NULL);
    unsigned n = 0;

    for (uint8_t i = 0; i < found->n_security; i++) {
        n += found->security[i].ssid != 0 ? 1 : 0;
    }
    return n;
}

/* The instance of @p ssid; without one, the lowest that nothing stands in the way of: with @p keep
 * any instance, else only those without ssid that @p accounts are. */
static dr_err_t id_pick(const struct lwm2m_boot_instance *list, uint8_t n, uint16_t ssid, bool keep,
                        bool accounts, uint16_t *ret)
{
    for (uint8_t i = 0; keep && i < n; i++) {
        if (list[i].ssid == ssid) {
            *ret = list[i].id;
            return DR_OK;
        }
    }
    for (uint16_t id = 0; id <= LWM2M_BOOT_INSTANCES_MAX; id++) {
        bool taken = false;
        for (uint8_t i = 0; i < n; i++) {
            taken = taken || (list[i].id == id && (keep || (accounts && list[i].ssid == 0)));
        }
        if (!taken) {
            *ret = id;
            return DR_OK;
        }
    }
    return DR_ERR_LIMIT;
}

dr_err_t lwm2m_boot_security_id(const struct lwm2m_boot_found *found, uint16_t ssid, bool keep,
                                uint16_t *ret)
{
    dr_assert(found != NULL && ret != NULL);
    return found->more ? DR_ERR_LIMIT
                       : id_pick(found->security, found->n_security, ssid, keep, true, ret);
}

dr_err_t lwm2m_boot_server_id(const struct lwm2m_boot_found *found, uint16_t ssid, bool keep,
                              uint16_t *ret)
{
    dr_assert(found != NULL && ret != NULL);
    return found->more ? DR_ERR_LIMIT
                       : id_pick(found->server, found->n_server, ssid, keep, false, ret);
}

static dr_err_t add(struct lwm2m_nodes *nodes, uint16_t object, uint16_t instance, uint16_t res,
                    struct lwm2m_value value)
{
    const struct lwm2m_node node = {.path = LWM2M_PATH(object, instance, res), .value = value};

    return lwm2m_nodes_add(nodes, &node);
}

/* What one row of an instance needs: its id, its value, and whether it is there at all. */
struct row {
    uint16_t res;
    bool on;
    struct lwm2m_value value;
};

static dr_err_t add_rows(struct lwm2m_nodes *nodes, uint16_t object, uint16_t instance,
                         const struct row *rows, size_t n)
{
    dr_err_t err = DR_OK;

    for (size_t i = 0; i < n && err == DR_OK; i++) {
        if (rows[i].on) {
            err = add(nodes, object, instance, rows[i].res, rows[i].value);
        }
    }
    return err;
}

static struct lwm2m_value opaque(struct lwm2m_bytes b)
{
    return lwm2m_value_opaque(b.ptr, b.len);
}

dr_err_t lwm2m_boot_security_add(const struct lwm2m_boot_security *sec, uint16_t instance,
                                 struct lwm2m_nodes *nodes)
{
    dr_assert(sec != NULL && sec->uri != NULL && nodes != NULL);
    bool keys = sec->mode != LWM2M_SECURITY_EST; /* there the device makes its own */
    const struct row rows[] = {
        {0, true, lwm2m_value_str(sec->uri, strlen(sec->uri))},
        {1, true, lwm2m_value_bool(sec->bootstrap_server)},
        {2, true, lwm2m_value_int(sec->mode)},
        {3, keys, opaque(sec->identity)},
        {4, true, opaque(sec->server)},
        {5, keys, opaque(sec->secret)},
        {10, sec->ssid != 0, lwm2m_value_int(sec->ssid)},
        {11, sec->hold_off_s >= 0 && !sec->pelion, lwm2m_value_int(sec->hold_off_s)},
        {15, sec->certificate_usage >= 0 && !sec->pelion,
         lwm2m_value_uint((uint64_t)sec->certificate_usage)},
    };

    return add_rows(nodes, LWM2M_OBJ_SECURITY, instance, rows, DR_ARRAY_LEN(rows));
}

dr_err_t lwm2m_boot_server_add(const struct lwm2m_boot_server *server, uint16_t instance,
                               struct lwm2m_nodes *nodes)
{
    dr_assert(server != NULL && server->binding != NULL && nodes != NULL);
    const struct row rows[] = {
        {0, true, lwm2m_value_int(server->ssid)},
        {1, true, lwm2m_value_int((int64_t)server->lifetime_s)},
        {2, server->pmin_s >= 0, lwm2m_value_int(server->pmin_s)},
        {3, server->pmax_s >= 0, lwm2m_value_int(server->pmax_s)},
        {6, true, lwm2m_value_bool(server->store)},
        {7, true, lwm2m_value_str(server->binding, strlen(server->binding))},
    };

    return add_rows(nodes, LWM2M_OBJ_SERVER, instance, rows, DR_ARRAY_LEN(rows));
}

size_t lwm2m_boot_formats(uint16_t pct, struct lwm2m_version version,
                          uint16_t ret[LWM2M_BOOT_FORMATS_MAX])
{
    dr_assert(ret != NULL);
    bool old = version.major == 0 || (version.major == 1 && version.minor == 0);
    bool newest = version.major > 1 || (version.major == 1 && version.minor >= 2);
    const uint16_t order[] = {
        pct,
        old ? LWM2M_CT_TLV : LWM2M_CT_SENML_CBOR,
        old ? LWM2M_CT_SENML_CBOR : LWM2M_CT_TLV,
        LWM2M_CT_SENML_JSON,
        newest ? LWM2M_CT_CBOR_MAP : LWM2M_CT_NONE,
    };
    size_t n = 0;

    for (size_t i = 0; i < DR_ARRAY_LEN(order) && n < LWM2M_BOOT_FORMATS_MAX; i++) {
        bool fresh = order[i] != LWM2M_CT_NONE;
        for (size_t k = 0; k < n; k++) {
            fresh = fresh && ret[k] != order[i];
        }
        if (fresh) {
            ret[n++] = order[i];
        }
    }
    return n;
}

static bool int_holds(const struct lwm2m_nodes *got, uint16_t instance, uint16_t res, int64_t want)
{
    const struct lwm2m_path path = LWM2M_PATH(LWM2M_OBJ_SERVER, instance, res);
    const struct lwm2m_node *node = lwm2m_nodes_find(got, &path);
    struct lwm2m_value v;

    if (node == NULL) {
        return true;
    }
    return lwm2m_value_coerce(&node->value, LWM2M_TYPE_INT, &v) == DR_OK && v.i == want;
}

bool lwm2m_boot_server_holds(const struct lwm2m_nodes *got, uint16_t instance,
                             const struct lwm2m_boot_server *want)
{
    dr_assert(got != NULL && want != NULL);
    return int_holds(got, instance, 0, want->ssid) &&
           int_holds(got, instance, 1, (int64_t)want->lifetime_s);
}
