/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device is told, as a list of steps over one ascending list of nodes:
 *
 *     LwM2M:   Discover /, Delete /0, Delete /1, Write /0/1, Write /1/0, Write …, (Read /1/0)
 *     Pelion:  Delete /0, Write /0, Write /1, Write …       (whole objects, TLV)
 */
#include <stdio.h>
#include <string.h>

#include "devices/boot_priv.h"
#include "lwm2m/codec.h"
#include "lwm2m/model.h"

dr_err_t boot_plan_mode(const struct boot_session *s, enum lwm2m_security_mode *ret)
{
    dr_assert(s != NULL && ret != NULL);
    switch (s->policy.security) {
    case DB_BOOT_PSK:
        *ret = LWM2M_SECURITY_PSK;
        return DR_OK;
    case DB_BOOT_X509:
        *ret = LWM2M_SECURITY_X509;
        break;
    case DB_BOOT_EST:
        *ret = LWM2M_SECURITY_EST;
        return s->pack ? DR_ERR_UNSUPPORTED : DR_OK;
    case DB_BOOT_NOSEC:
        *ret = LWM2M_SECURITY_NONE;
        return DR_OK;
    case DB_BOOT_AUTO:
        *ret = s->kind == CX_ID_CERT ? LWM2M_SECURITY_X509 : LWM2M_SECURITY_PSK;
        break;
    }
    return *ret == LWM2M_SECURITY_X509 && s->sh->boot->cfg.issue == NULL ? DR_ERR_UNSUPPORTED
                                                                         : DR_OK;
}

static void step_add(struct boot_session *s, enum boot_step_kind kind, struct lwm2m_path path)
{
    if (s->n_steps < BOOT_STEPS_MAX) {
        s->steps[s->n_steps++] = (struct boot_step){.kind = (uint8_t)kind, .path = path};
    }
}

void boot_plan_begin(struct boot_session *s)
{
    s->n_steps = s->step = 0;
    s->discovered = false;
    s->found = (struct lwm2m_boot_found){0};
    if (!s->pelion) {
        step_add(s, BOOT_DISCOVER, LWM2M_PATH_ROOT);
    }
}

/* spec: LWM2M-1.1-TRANSPORT#5.2.8.7: usage 2, trust anchor, is for 1.1 and later; before it the
 * certificate of the server itself stands here */
static void server_certificate(const struct boot_session *s, struct lwm2m_boot_security *sec)
{
    const struct dev_boot_config *cfg = &s->sh->boot->cfg;
    struct lwm2m_version v = s->found.version;
    bool anchor = s->pelion || v.major > 1 || (v.major == 1 && v.minor >= 1) ||
                  cfg->server_cert.len == 0 || s->pack;
    struct dr_bytes der = anchor ? cfg->server_ca : cfg->server_cert;

    sec->server = (struct lwm2m_bytes){der.p, der.len};
    sec->certificate_usage = anchor && der.len != 0 ? 2 : -1;
}

static void uri_make(const struct boot_session *s, char out[DEV_BOOT_URI_MAX + 48])
{
    const char *base =
        s->policy.server_uri[0] != '\0' ? s->policy.server_uri : s->sh->boot->cfg.server_uri;
    char account[DR_ID_LEN + 1];

    dr_id_format(s->account, account);
    if (s->pelion && strchr(base, '?') == NULL) {
        (void)snprintf(out, DEV_BOOT_URI_MAX + 48, "%s?aid=%s", base, account);
    } else {
        (void)snprintf(out, DEV_BOOT_URI_MAX + 48, "%s", base);
    }
}

static dr_err_t ids_pick(const struct boot_session *s, uint16_t *ret_security, uint16_t *ret_server)
{
    bool keep = s->policy.reset == DB_BOOT_RESET_NONE;

    if (s->pelion) {
        *ret_security = 0;
        *ret_server = 0;
        return DR_OK;
    }
    if (!s->discovered) {
        *ret_security = BOOT_SECURITY_ID_DEFAULT;
        *ret_server = 0;
        return DR_OK;
    }
    dr_err_t err = lwm2m_boot_security_id(&s->found, s->policy.ssid, keep, ret_security);
    return err == DR_OK ? lwm2m_boot_server_id(&s->found, s->policy.ssid, keep, ret_server) : err;
}

static dr_err_t security_add(struct boot_session *s, uint16_t instance)
{
    char uri[DEV_BOOT_URI_MAX + 48];
    struct lwm2m_boot_security sec = {.uri = uri,
                                      .mode = (uint8_t)s->mode,
                                      .ssid = s->policy.ssid,
                                      .hold_off_s = s->policy.hold_off_s,
                                      .certificate_usage = -1,
                                      .pelion = s->pelion};

    uri_make(s, uri);
    if (s->mode == LWM2M_SECURITY_PSK) {
        sec.identity =
            (struct lwm2m_bytes){(const uint8_t *)s->psk_identity, strlen(s->psk_identity)};
        sec.secret = (struct lwm2m_bytes){s->psk, sizeof s->psk};
    } else if (s->mode == LWM2M_SECURITY_X509) {
        dr_assert(s->issued != NULL);
        sec.identity = (struct lwm2m_bytes){s->issued->cert, s->issued->cert_len};
        sec.secret = (struct lwm2m_bytes){s->issued->key, s->issued->key_len};
    }
    if (s->mode == LWM2M_SECURITY_X509 || s->mode == LWM2M_SECURITY_EST) {
        server_certificate(s, &sec);
    }
    return lwm2m_boot_security_add(&sec, instance, &s->nodes);
}

/* Further objects of the policy: SenML JSON, as REST has checked it. Pelion's clients take the
 * three objects of bootstrap only, and of /3 nothing but the time. */
static dr_err_t objects_add(struct boot_session *s)
{
    if (s->pelion) {
        const struct lwm2m_node node = {.path = LWM2M_PATH(LWM2M_OBJ_DEVICE, 0, 13),
                                        .value = lwm2m_value_time(s->now_s)};
        return lwm2m_nodes_add(&s->nodes, &node);
    }
    const struct lwm2m_schema schema = {.models = s->sh->boot->cfg.models,
                                        .enabler = s->found.version};
    const struct lwm2m_decode_opts opts = {.schema = &schema, .base = LWM2M_PATH_ROOT};

    if (s->policy.objects == NULL) {
        return DR_OK;
    }
    return lwm2m_decode_nodes(LWM2M_CT_SENML_JSON, &opts, s->policy.objects,
                              strlen(s->policy.objects), &s->nodes);
}

static void nodes_sort(struct lwm2m_nodes *nodes)
{
    for (size_t i = 1; i < nodes->count; i++) { /* a handful: insertion */
        struct lwm2m_node node = nodes->items[i];
        size_t k = i;
        while (k > 0 && lwm2m_path_cmp(&nodes->items[k - 1].path, &node.path) > 0) {
            nodes->items[k] = nodes->items[k - 1];
            k--;
        }
        nodes->items[k] = node;
    }
}

dr_err_t boot_plan_nodes(struct boot_session *s)
{
    uint16_t security = 0, server = 0;
    dr_err_t err = ids_pick(s, &security, &server);

    lwm2m_nodes_fini(&s->nodes);
    lwm2m_nodes_init(&s->nodes, 0, 0);
    s->server_instance = server;
    s->server = (struct lwm2m_boot_server){.ssid = s->policy.ssid,
                                           .lifetime_s = s->policy.lifetime_s,
                                           .pmin_s = s->pelion ? -1 : s->policy.pmin_s,
                                           .pmax_s = s->pelion ? -1 : s->policy.pmax_s,
                                           .store = s->policy.store && !s->pelion,
                                           .binding = s->policy.binding};
    if (err == DR_OK) {
        err = security_add(s, security);
    }
    if (err == DR_OK) {
        err = lwm2m_boot_server_add(&s->server, server, &s->nodes);
    }
    if (err == DR_OK) {
        err = objects_add(s);
    }
    if (err == DR_OK) {
        nodes_sort(&s->nodes);
    }
    return err;
}

static void deletes_add(struct boot_session *s)
{
    switch (s->policy.reset) {
    case DB_BOOT_RESET_NONE:
        if (s->pelion) { /* its client cannot do without */
            step_add(s, BOOT_DELETE, LWM2M_PATH(LWM2M_OBJ_SECURITY));
        }
        return;
    case DB_BOOT_RESET_ALL:
        step_add(s, BOOT_DELETE, s->pelion ? LWM2M_PATH(LWM2M_OBJ_SECURITY) : LWM2M_PATH_ROOT);
        return;
    case DB_BOOT_RESET_SERVERS:
        if (!s->discovered || s->found.more || lwm2m_boot_found_servers(&s->found) != 0) {
            step_add(s, BOOT_DELETE, LWM2M_PATH(LWM2M_OBJ_SECURITY));
        }
        if (!s->pelion && (!s->discovered || s->found.more || s->found.n_server != 0)) {
            step_add(s, BOOT_DELETE, LWM2M_PATH(LWM2M_OBJ_SERVER));
        }
        return;
    }
}

dr_err_t boot_plan_rest(struct boot_session *s)
{
    unsigned depth = s->pelion ? LWM2M_LEVEL_OBJECT : LWM2M_LEVEL_INSTANCE;
    dr_err_t err = boot_plan_nodes(s);

    if (err != DR_OK) {
        return err;
    }
    deletes_add(s);
    for (size_t i = 0; i < s->nodes.count;) {
        struct lwm2m_path path = lwm2m_path_cut(&s->nodes.items[i].path, depth);
        size_t end = i + 1;
        while (end < s->nodes.count && lwm2m_path_has_prefix(&s->nodes.items[end].path, &path)) {
            end++;
        }
        if (s->n_steps + 1 >= BOOT_STEPS_MAX) {
            return DR_ERR_LIMIT;
        }
        step_add(s, BOOT_WRITE, path);
        s->steps[s->n_steps - 1].first = (uint16_t)i;
        s->steps[s->n_steps - 1].count = (uint16_t)(end - i);
        i = end;
    }
    if (s->policy.verify && !s->pelion) {
        step_add(s, BOOT_READ, LWM2M_PATH(LWM2M_OBJ_SERVER, s->server_instance));
    }
    return DR_OK;
}
