/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keys.h"

#include "base/file.h"
#include "base/log.h"

dr_err_t srv_keys_open(const char *dir, bool make, struct srv_keys *ret, struct dr_errinfo *reterr)
{
    dr_assert(dir != NULL && ret != NULL);
    char path[DR_PATH_MAX];
    struct srv_keys keys = {0};
    dr_err_t err = dr_path_join(path, dir, "keys");

    err = err == DR_OK ? cert_vault_open(path, make, &keys.vault, reterr) : err;
    if (err == DR_OK) {
        *ret = keys;
    }
    return err;
}

dr_err_t srv_keys_install(struct srv_keys *k, const char *dir, struct dr_errinfo *reterr)
{
    dr_assert(k != NULL && k->vault != NULL && dir != NULL);
    char path[DR_PATH_MAX];
    bool made = false;
    dr_err_t err = dr_path_join(path, dir, "keys");

    err = err == DR_OK ? cert_install_open(path, k->vault, &k->install, &made, reterr) : err;
    if (err == DR_OK && made) {
        dr_log(DR_LOG_INFO, "server", "certificate authorities were made in '%s'", path);
    }
    return err;
}

void srv_keys_close(struct srv_keys *k)
{
    dr_assert(k != NULL);
    k->install = cert_install_free(k->install);
    k->vault = cert_vault_free(k->vault);
}

static dr_err_t seal(void *data, struct dr_bytes label, struct dr_bytes plain, uint8_t *out,
                     size_t cap, size_t *ret_len)
{
    return cert_vault_seal(data, label, plain, out, cap, ret_len);
}

static dr_err_t unseal(void *data, struct dr_bytes label, struct dr_bytes sealed, uint8_t *out,
                       size_t cap, size_t *ret_len)
{
    return cert_vault_unseal(data, label, sealed, out, cap, ret_len);
}

struct db_seal srv_keys_seal(const struct srv_keys *k)
{
    dr_assert(k != NULL && k->vault != NULL);
    return (struct db_seal){.seal = seal, .unseal = unseal, .data = k->vault};
}

dr_err_t srv_keys_pem(const struct srv_keys *k, enum cert_server which, char cert[CERT_PEM_MAX],
                      char key[CERT_KEY_PEM_MAX])
{
    dr_assert(k != NULL && k->install != NULL && cert != NULL && key != NULL);
    bool ok = cert_pem_write(cert_install_server_der(k->install, which), cert, CERT_PEM_MAX) != 0 &&
              cert_key_pem(cert_install_server_key(k->install, which), key, CERT_KEY_PEM_MAX) != 0;

    return ok ? DR_OK : DR_ERR_INTERNAL;
}
