/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An authority or server certificate is two files: NAME.crt, PEM, for people and other programs,
 * and NAME.key, hex of the sealed PKCS#8 key with label "key NAME". The key is written first: a
 * certificate without its key never stands there. A key without certificate (a crash in between) is
 * made anew.
 */
#include "certs/install.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define KEY_FILE_MAX  (2 * (CERT_KEY_DER_MAX + CERT_SEAL_EXTRA) + 2)
#define FILE_NAME_MAX 64

struct server_cert {
    struct cert_key *key; /* owned */
    uint8_t der[CERT_DER_MAX];
    size_t len;
};

struct cert_install {
    char dir[DR_PATH_MAX];
    const struct cert_vault *vault; /* borrowed */
    struct cert_authority *roles[CERT_N_ROLES];
    struct server_cert servers[CERT_N_SERVERS];
};

static const struct {
    const char *name, *cn;
} roles[CERT_N_ROLES] = {
    [CERT_BOOTSTRAP_ROOT] = {"bootstrap-root", "Drover bootstrap root"},
    [CERT_SERVER_ROOT] = {"server-root", "Drover LwM2M server root"},
    [CERT_DEVICE_ISSUER] = {"device-issuer", "Drover device issuer"},
    [CERT_DEVELOPER_ISSUER] = {"developer-issuer", "Drover developer issuer"},
};

static const struct {
    const char *name, *cn;
    enum cert_role issuer;
} servers[CERT_N_SERVERS] = {
    [CERT_SERVER_BOOTSTRAP] = {"bootstrap-server", "Drover bootstrap server", CERT_BOOTSTRAP_ROOT},
    [CERT_SERVER_LWM2M] = {"lwm2m-server", "Drover LwM2M server", CERT_SERVER_ROOT},
};

const char *cert_role_name(enum cert_role role)
{
    dr_assert(role < CERT_N_ROLES);
    return roles[role].name;
}

const char *cert_server_name(enum cert_server which)
{
    dr_assert(which < CERT_N_SERVERS);
    return servers[which].name;
}

static dr_err_t file_path(const struct cert_install *in, const char *name, const char *suffix,
                          char path[DR_PATH_MAX])
{
    char file[FILE_NAME_MAX];

    (void)snprintf(file, sizeof file, "%s.%s", name, suffix);
    return dr_path_join(path, in->dir, file);
}

static size_t key_label(const char *name, char out[FILE_NAME_MAX])
{
    int n = snprintf(out, FILE_NAME_MAX, "key %s", name);

    return n < 0 ? 0 : (size_t)n;
}

static dr_err_t key_write(const struct cert_install *in, const char *name,
                          const struct cert_key *key, struct dr_errinfo *reterr)
{
    char path[DR_PATH_MAX], label[FILE_NAME_MAX], hex[KEY_FILE_MAX];
    uint8_t plain[CERT_KEY_DER_MAX], sealed[CERT_KEY_DER_MAX + CERT_SEAL_EXTRA];
    size_t len = cert_key_pkcs8(key, plain, sizeof plain), n = 0;
    dr_err_t err = len == 0 ? DR_ERR_INTERNAL : file_path(in, name, "key", path);

    if (err == DR_OK) {
        err = cert_vault_seal(in->vault, dr_bytes_of(label, key_label(name, label)),
                              dr_bytes_of(plain, len), sealed, sizeof sealed, &n);
    }
    dr_wipe(plain, sizeof plain);
    if (err != DR_OK) {
        return err;
    }
    dr_hex_encode(sealed, n, hex);
    hex[DR_HEX_LEN(n)] = '\n';
    return dr_file_write(path, hex, DR_HEX_LEN(n) + 1, reterr);
}

static dr_err_t cert_write(const struct cert_install *in, const char *name, struct dr_bytes der,
                           struct dr_errinfo *reterr)
{
    char path[DR_PATH_MAX], pem[CERT_PEM_MAX];
    size_t len = cert_pem_write(der, pem, sizeof pem);
    dr_err_t err = len == 0 ? DR_ERR_INTERNAL : file_path(in, name, "crt", path);

    return err == DR_OK ? dr_file_write(path, pem, len, reterr) : err;
}

static dr_err_t damaged(const char *path, const char *why, struct dr_errinfo *reterr)
{
    dr_errinfo_set(reterr, path, 0, "%s", why);
    return DR_ERR_CORRUPT;
}

static dr_err_t cert_read(const struct cert_install *in, const char *name,
                          uint8_t der[CERT_DER_MAX], size_t *ret_len, struct dr_errinfo *reterr)
{
    char path[DR_PATH_MAX];
    char *text;
    size_t len;
    dr_err_t err = file_path(in, name, "crt", path);

    err = err == DR_OK ? dr_file_read(path, CERT_PEM_MAX, &text, &len, reterr) : err;
    if (err != DR_OK) {
        return err;
    }
    err = cert_upload_read(text, len, der, ret_len);
    free(text);
    return err == DR_OK ? DR_OK : damaged(path, "is not one certificate in PEM", reterr);
}

static dr_err_t key_read(const struct cert_install *in, const char *name, struct cert_key **ret,
                         struct dr_errinfo *reterr)
{
    char path[DR_PATH_MAX], label[FILE_NAME_MAX];
    uint8_t sealed[CERT_KEY_DER_MAX + CERT_SEAL_EXTRA], plain[CERT_KEY_DER_MAX];
    char *text;
    size_t len, n = 0, plain_len = 0;
    dr_err_t err = file_path(in, name, "key", path);

    err = err == DR_OK ? dr_file_read(path, KEY_FILE_MAX, &text, &len, reterr) : err;
    if (err != DR_OK) {
        return err;
    }
    err = dr_hex_decode(text, strcspn(text, "\r\n"), sealed, sizeof sealed, &n);
    free(text);
    if (err != DR_OK) {
        return damaged(path, "is not a sealed key in hex", reterr);
    }
    err = cert_vault_unseal(in->vault, dr_bytes_of(label, key_label(name, label)),
                            dr_bytes_of(sealed, n), plain, sizeof plain, &plain_len);
    if (err != DR_OK) {
        dr_errinfo_set(reterr, path, 0, "was sealed under another master key");
        return DR_ERR_CRYPTO;
    }
    err = cert_key_from_der(dr_bytes_of(plain, plain_len), ret);
    dr_wipe(plain, sizeof plain);
    return err == DR_OK ? DR_OK : damaged(path, "holds no P-256 key", reterr);
}

static dr_err_t role_load(struct cert_install *in, enum cert_role role, struct dr_errinfo *reterr)
{
    const char *name = roles[role].name;
    uint8_t der[CERT_DER_MAX];
    struct cert_key *key = NULL;
    size_t len = 0;
    dr_err_t err = cert_read(in, name, der, &len, reterr);

    if (err != DR_OK) {
        return err;
    }
    err = key_read(in, name, &key, reterr);
    if (err == DR_OK) {
        err = cert_authority_load(dr_bytes_of(der, len), key, &in->roles[role]);
        if (err == DR_ERR_CRYPTO || err == DR_ERR_PROTO) {
            err = damaged(name, "certificate and key do not belong together", reterr);
        }
    } else if (err == DR_ERR_NOT_FOUND) {
        err = damaged(name, "the certificate is there, its key file is missing", reterr);
    }
    if (err != DR_OK) {
        cert_key_free(key);
    }
    return err;
}

static dr_err_t role_make(struct cert_install *in, enum cert_role role, struct dr_errinfo *reterr)
{
    const char *name = roles[role].name;
    dr_err_t err = cert_authority_create(roles[role].cn, &in->roles[role]);

    if (err == DR_OK) {
        err = key_write(in, name, cert_authority_key(in->roles[role]), reterr);
    }
    return err == DR_OK ? cert_write(in, name, cert_authority_der(in->roles[role]), reterr) : err;
}

static dr_err_t server_load(struct cert_install *in, enum cert_server which,
                            struct dr_errinfo *reterr)
{
    const char *name = servers[which].name;
    struct server_cert *sc = &in->servers[which];
    dr_err_t err = cert_read(in, name, sc->der, &sc->len, reterr);

    return err == DR_OK ? key_read(in, name, &sc->key, reterr) : err;
}

dr_err_t cert_install_renew(struct cert_install *in, enum cert_server which,
                            struct dr_errinfo *reterr)
{
    dr_assert(in != NULL && which < CERT_N_SERVERS);
    const struct cert_subject subject = {.cn = servers[which].cn};
    const char *name = servers[which].name;
    struct cert_key *key = NULL;
    struct cert_issued issued;
    dr_err_t err = cert_key_generate(&key);

    if (err == DR_OK) {
        err = cert_issue_key(in->roles[servers[which].issuer], &subject, CERT_USE_SERVER, key, 0,
                             &issued);
    }
    if (err == DR_OK) {
        err = key_write(in, name, key, reterr);
    }
    if (err == DR_OK) {
        err = cert_write(in, name, dr_bytes_of(issued.der, issued.len), reterr);
    }
    if (err != DR_OK) {
        cert_key_free(key);
        return err;
    }
    struct server_cert *sc = &in->servers[which];
    cert_key_free(sc->key);
    sc->key = key;
    memcpy(sc->der, issued.der, issued.len);
    sc->len = issued.len;
    return DR_OK;
}

dr_err_t cert_install_open(const char *keys_dir, const struct cert_vault *vault,
                           struct cert_install **ret, bool *made, struct dr_errinfo *reterr)
{
    dr_assert(keys_dir != NULL && vault != NULL && ret != NULL);
    struct cert_install *in = calloc(1, sizeof *in);
    if (in == NULL) {
        return DR_ERR_NOMEM;
    }
    in->vault = vault;
    bool any = false;
    int n = snprintf(in->dir, sizeof in->dir, "%s", keys_dir);
    dr_err_t err = n < 0 || (size_t)n >= sizeof in->dir ? DR_ERR_RANGE : DR_OK;
    for (int i = 0; i < CERT_N_ROLES && err == DR_OK; i++) {
        err = role_load(in, (enum cert_role)i, reterr);
        if (err == DR_ERR_NOT_FOUND) {
            any = true;
            err = role_make(in, (enum cert_role)i, reterr);
        }
    }
    for (int i = 0; i < CERT_N_SERVERS && err == DR_OK; i++) {
        err = server_load(in, (enum cert_server)i, reterr);
        if (err == DR_ERR_NOT_FOUND) {
            any = true;
            err = cert_install_renew(in, (enum cert_server)i, reterr);
        }
    }
    if (err != DR_OK) {
        cert_install_free(in);
        return err;
    }
    if (made != NULL) {
        *made = any;
    }
    *ret = in;
    return DR_OK;
}

struct cert_install *cert_install_free(struct cert_install *in)
{
    if (in != NULL) {
        for (int i = 0; i < CERT_N_ROLES; i++) {
            cert_authority_free(in->roles[i]);
        }
        for (int i = 0; i < CERT_N_SERVERS; i++) {
            cert_key_free(in->servers[i].key);
        }
        free(in);
    }
    return NULL;
}

const struct cert_authority *cert_install_authority(const struct cert_install *in,
                                                    enum cert_role role)
{
    dr_assert(in != NULL && role < CERT_N_ROLES);
    return in->roles[role];
}

struct dr_bytes cert_install_server_der(const struct cert_install *in, enum cert_server which)
{
    dr_assert(in != NULL && which < CERT_N_SERVERS);
    return dr_bytes_of(in->servers[which].der, in->servers[which].len);
}

const struct cert_key *cert_install_server_key(const struct cert_install *in,
                                               enum cert_server which)
{
    dr_assert(in != NULL && which < CERT_N_SERVERS);
    return in->servers[which].key;
}
