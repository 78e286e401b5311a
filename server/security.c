/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that the server shows, and whom it trusts. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/pem.h"
#include "server/run_priv.h"
#include "server/sync.h"

#define PEM_FILE_MAX (1024 * 1024)

static dr_err_t read_pem(const char *path, char **ret, size_t *ret_len, struct dr_errinfo *reterr)
{
    return path[0] == '\0' ? DR_OK : dr_file_read(path, PEM_FILE_MAX, ret, ret_len, reterr);
}

dr_err_t srv_make_trust(struct srv *s)
{
    char *ca = NULL;
    size_t ca_len = 0;
    struct srv_der_list *list = calloc(1, sizeof *list);
    struct dr_bytes *anchors = calloc(SRV_PEM_CERTS_MAX, sizeof *anchors);
    dr_err_t err = list == NULL || anchors == NULL ? DR_ERR_NOMEM : DR_OK;

    if (err == DR_OK) {
        err = read_pem(s->config->coaps_ca, &ca, &ca_len, s->reterr);
    }
    if (err == DR_OK && ca != NULL) {
        err = srv_pem_certs(ca, ca_len, list, s->reterr);
    }
    for (size_t i = 0; err == DR_OK && i < list->count; i++) {
        anchors[i] = dr_bytes_of(list->certs[i].bytes, list->certs[i].len);
    }
    if (err == DR_OK) {
        const struct dev_trust_config config = {
            .db = s->db,
            .control = s->control,
            .device_issuer =
                cert_authority_der(cert_install_authority(s->keys.install, CERT_DEVICE_ISSUER)),
            .file_anchors = anchors,
            .n_file_anchors = list->count,
            .file_account = s->account,
        };
        err = dev_trust_new(&config, &s->trust);
    }
    if (err == DR_OK) {
        err = srv_read_sync(s->db, dev_trust_read, s->trust);
        if (err == DR_ERR_PROTO) {
            dr_errinfo_set(s->reterr, "coaps-ca", 0, "an anchor is no certificate");
        }
    }
    if (err == DR_OK) {
        err = dev_issuer_new(cert_install_authority(s->keys.install, CERT_DEVICE_ISSUER), s->db,
                             &s->issuer);
    }
    free(list == NULL ? NULL : list->block);
    free(list);
    free(anchors);
    free(ca);
    return err;
}

struct last {
    uint8_t *out;
    size_t len;
};

static dr_err_t take_last(void *data, struct dr_bytes der)
{
    struct last *last = data;

    memcpy(last->out, der.p, der.len);
    last->len = der.len;
    return DR_OK;
}

/* Whom devices have to trust: our root, or the end of the chain that the configuration names. */
static dr_err_t find_server_ca(struct srv *s, const char *chain, size_t len)
{
    struct last last = {.out = s->server_ca};

    if (chain == NULL) {
        struct dr_bytes der =
            cert_authority_der(cert_install_authority(s->keys.install, CERT_SERVER_ROOT));
        memcpy(s->server_ca, der.p, der.len);
        s->server_ca_len = der.len;
        return DR_OK;
    }
    dr_err_t err = cert_pem_each(chain, len, CERT_CHAIN_FILE_MAX, take_last, &last);
    if (err != DR_OK) {
        dr_errinfo_set(s->reterr, "coaps-cert", 0, "is no chain of PEM certificates");
    }
    s->server_ca_len = last.len;
    return err;
}

dr_err_t srv_security_new(struct srv *s, struct cx_security **ret)
{
    char *cert = NULL, *key = NULL;
    char own_cert[CERT_PEM_MAX], own_key[CERT_KEY_PEM_MAX];
    size_t cert_len = 0, key_len = 0;
    struct cx_security_config config = {.trust = dev_trust_cx(s->trust, CERT_SERVICE_LWM2M)};
    dr_err_t err = srv_keys_pem(&s->keys, CERT_SERVER_LWM2M, own_cert, own_key);

    if (err == DR_OK) {
        err = read_pem(s->config->coaps_cert, &cert, &cert_len, s->reterr);
    }
    if (err == DR_OK) {
        err = read_pem(s->config->coaps_key, &key, &key_len, s->reterr);
    }
    if (err == DR_OK) {
        err = find_server_ca(s, cert, cert_len);
    }
    if (err == DR_OK) {
        err = srv_folder_ticket_key(s->config->data, config.ticket_key, s->reterr);
    }
    if (err == DR_OK) {
        bool own = cert == NULL && key == NULL;
        config.cert_pem = own ? own_cert : cert;
        config.key_pem = own ? own_key : key;
        err = cx_security_new(&config, ret, s->reterr);
    }
    dr_wipe(&config, sizeof config);
    dr_wipe(own_key, sizeof own_key);
    if (key != NULL) {
        dr_wipe(key, key_len);
    }
    free(cert);
    free(key);
    return err;
}

dr_err_t srv_boot_issue(void *data, const struct dev_boot_subject *subject,
                        struct dev_boot_issued *ret)
{
    struct srv *s = data;
    const struct dev_issue_for who = {.account = subject->account,
                                      .device = subject->device,
                                      .endpoint = subject->endpoint,
                                      .name = "LWM2M"};
    struct cert_issued issued;
    struct cert_key *key = NULL;
    dr_err_t err = dev_issue_key(s->issuer, &who, &issued, &key);

    if (err != DR_OK) {
        return err;
    }
    memcpy(ret->cert, issued.der, issued.len);
    ret->cert_len = issued.len;
    ret->key_len = cert_key_sec1(key, ret->key, sizeof ret->key);
    ret->not_after_ms = issued.not_after_ms;
    cert_key_free(key);
    return ret->key_len == 0 ? DR_ERR_INTERNAL : DR_OK;
}

#define MODE_DEVELOPER  1
#define MODE_PRODUCTION 5

dr_err_t srv_boot_identify(void *data, uint64_t anchor_tag, const uint8_t *leaf_der, size_t len,
                           struct dev_boot_cert *ret)
{
    struct srv *s = data;
    struct dev_trust_id id;
    dr_err_t err =
        dev_trust_identify(s->trust, CERT_SERVICE_BOOTSTRAP, anchor_tag, leaf_der, len, &id);

    if (err == DR_OK) {
        *ret = (struct dev_boot_cert){
            .account = id.account,
            .credential = id.anchor,
            .execution_mode = id.developer ? MODE_DEVELOPER : MODE_PRODUCTION,
            .not_after_ms = id.info.not_after_ms,
            .enrollment = id.enrollment,
            .has_fingerprint = true,
        };
        memcpy(ret->fingerprint, id.info.fingerprint, sizeof ret->fingerprint);
        memcpy(ret->key_hash, id.info.key_hash, sizeof ret->key_hash);
    }
    return err;
}

dr_err_t srv_boot_security_new(const struct srv *s, struct cx_security **ret)
{
    char cert[CERT_PEM_MAX], key[CERT_KEY_PEM_MAX];
    const struct cx_security_config security = {
        .cert_pem = cert,
        .key_pem = key,
        .trust = dev_trust_cx(s->trust, CERT_SERVICE_BOOTSTRAP),
    };
    dr_err_t err = srv_keys_pem(&s->keys, CERT_SERVER_BOOTSTRAP, cert, key);

    err = err == DR_OK ? cx_security_new(&security, ret, s->reterr) : err;
    dr_wipe(key, sizeof key);
    return err;
}
