/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_server_credentials.c
 * @brief /v3/server-credentials: where devices go, and the authorities that they check us against;
 * /v3/drover/server-certificates: what we show, with fingerprints, and its renewal.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "certs/install.h"
#include "rest/rest_priv.h"

struct server {
    const char *name;
    const char *uri;
    struct dr_bytes root;
};

static struct server server_of(const struct rest *rest, bool bootstrap)
{
    const struct rest_config *c = &rest->config;

    if (bootstrap) {
        return (struct server){
            "bootstrap", c->bootstrap_uri,
            cert_authority_der(cert_install_authority(c->install, CERT_BOOTSTRAP_ROOT))};
    }
    return (struct server){"lwm2m", c->lwm2m_uri, dr_bytes_of(c->server_ca, c->server_ca_len)};
}

/* A bootstrap address names the account; devices send it back. */
static void uri_make(const struct server *s, int64_t account, char out[320])
{
    char id[DR_ID_LEN + 1];

    dr_id_format(account, id);
    (void)snprintf(out, 320, "%s%s%s", s->uri, s->name[0] == 'b' ? "?aid=" : "",
                   s->name[0] == 'b' ? id : "");
}

static bool is_ready(struct rest_req *req)
{
    if (rest_of(req)->config.install == NULL) {
        rest_answer_error(req, 503, NULL, "certificates are not available");
        return false;
    }
    return true;
}

static void one_get(struct rest_req *req, bool bootstrap)
{
    struct dr_dynbuf out;
    char uri[320], pem[CERT_PEM_MAX], etag[24];

    if (!is_ready(req)) {
        return;
    }
    const struct server s = server_of(rest_of(req), bootstrap);
    uri_make(&s, req->who.account, uri);
    dr_dynbuf_init(&out, REST_ANSWER_MAX);
    struct rest_json j = rest_json_of(&out);
    (void)snprintf(etag, sizeof etag, "%lld", (long long)DR_ID_MS(req->who.account));
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "server-credentials");
    rest_json_id(&j, "id", req->who.account);
    rest_json_str(&j, "server_uri", uri);
    rest_json_str(&j, "server_certificate",
                  cert_pem_write(s.root, pem, sizeof pem) == 0 ? "" : pem);
    rest_json_time(&j, "created_at", DR_ID_MS(req->who.account));
    rest_json_str(&j, "etag", etag);
    rest_json_object_end(&j);
    rest_answer_json(req, 200, &out);
}

static void bootstrap_get(struct rest_req *req)
{
    one_get(req, true);
}

static void lwm2m_get(struct rest_req *req)
{
    one_get(req, false);
}

static void all_get(struct rest_req *req)
{
    struct dr_dynbuf out;
    char uri[320], pem[CERT_PEM_MAX];

    if (!is_ready(req)) {
        return;
    }
    dr_dynbuf_init(&out, REST_ANSWER_MAX);
    struct rest_json j = rest_json_of(&out);
    rest_json_object(&j, NULL);
    for (int i = 1; i >= 0; i--) {
        const struct server s = server_of(rest_of(req), i == 1);
        uri_make(&s, req->who.account, uri);
        rest_json_object(&j, s.name);
        rest_json_str(&j, "url", uri);
        rest_json_str(&j, "certificate", cert_pem_write(s.root, pem, sizeof pem) == 0 ? "" : pem);
        rest_json_object_end(&j);
    }
    rest_json_object_end(&j);
    rest_answer_json(req, 200, &out);
}

/* ---- what this installation has ---- */

static void own_write(struct rest_json *j, const char *name, struct dr_bytes der, bool authority)
{
    struct cert_info info;
    char pem[CERT_PEM_MAX], hex[3 * CERT_SHA256_LEN];

    if (cert_info_read(der, &info) != DR_OK) {
        return;
    }
    cert_hex_colons(info.fingerprint, sizeof info.fingerprint, hex);
    rest_json_object(j, NULL);
    rest_json_str(j, "name", name);
    rest_json_bool(j, "authority", authority);
    rest_json_str(j, "subject", info.subject);
    rest_json_str(j, "fingerprint", hex);
    rest_json_time(j, "validity", info.not_after_ms);
    rest_json_str(j, "certificate", cert_pem_write(der, pem, sizeof pem) == 0 ? "" : pem);
    rest_json_object_end(j);
}

static void own_answer(struct rest_req *req)
{
    const struct cert_install *in = rest_of(req)->config.install;
    struct dr_dynbuf out;

    dr_dynbuf_init(&out, REST_ANSWER_MAX);
    struct rest_json j = rest_json_of(&out);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "list");
    rest_json_array(&j, "data");
    for (int i = 0; i < CERT_N_ROLES; i++) {
        enum cert_role role = (enum cert_role)i;
        own_write(&j, cert_role_name(role), cert_authority_der(cert_install_authority(in, role)),
                  true);
    }
    for (int i = 0; i < CERT_N_SERVERS; i++) {
        enum cert_server which = (enum cert_server)i;
        own_write(&j, cert_server_name(which), cert_install_server_der(in, which), false);
    }
    rest_json_array_end(&j);
    rest_json_object_end(&j);
    rest_answer_json(req, 200, &out);
}

static void own_get(struct rest_req *req)
{
    if (is_ready(req)) {
        own_answer(req);
    }
}

/* Both servers get new keys; devices notice nothing, for they know the roots. */
static void own_renew(struct rest_req *req)
{
    const struct rest_config *c = &rest_of(req)->config;

    if (!is_ready(req)) {
        return;
    }
    if (c->renew == NULL) {
        rest_answer_error(req, 503, NULL, "certificates are not available");
        return;
    }
    dr_err_t err = c->renew(c->renew_data);
    if (err != DR_OK) {
        rest_answer_err(req, err);
        return;
    }
    own_answer(req);
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/server-credentials", all_get, 0},
    {REST_GET, REST_READ, "/v3/server-credentials/bootstrap", bootstrap_get, 0},
    {REST_GET, REST_READ, "/v3/server-credentials/lwm2m", lwm2m_get, 0},
    {REST_GET, REST_READ, "/v3/drover/server-certificates", own_get, 0},
    {REST_POST, REST_WRITE, "/v3/drover/server-certificates/renew", own_renew, 65536},
};

const struct rest_routes rest_v3_server_credentials_routes = {routes, DR_ARRAY_LEN(routes)};
