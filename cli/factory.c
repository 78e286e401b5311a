/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities for a batch of devices, into a folder of mode 0700:
 *
 *     DIR/NAME.pem         certificate and key of one device        (or NAME.psk: identity, key)
 *     DIR/devices.csv      endpoint, enrolment identity, serial     (or DIR/keys.csv for psk
 * import) DIR/authority.pem, DIR/authority.key    made once, used again by the next batch
 *
 * Nothing that exists is written over. The authority (or the keys) goes to the server unless
 * --no-upload says otherwise.
 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rand.h"
#include "base/text.h"
#include "certs/issue.h"

#define COUNT_MAX  1000000
#define PREFIX_MAX 48
#define PSK_LEN    16
#define ALL_MAX    (256UL * 1024 * 1024)

struct factory {
    const char *dir, *prefix, *service, *account;
    uint64_t first, count;
    bool psk, upload, enroll;
    struct cert_authority *authority;
    struct dr_dynbuf csv;
};

static int options_read(struct factory *f, int argc, char **argv)
{
    enum { NO_UPLOAD = 1000, ENROLL };
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},     {"prefix", required_argument, NULL, 'p'},
        {"first", required_argument, NULL, 'f'},   {"count", required_argument, NULL, 'n'},
        {"service", required_argument, NULL, 's'}, {"account", required_argument, NULL, 'a'},
        {"psk", no_argument, NULL, 'k'},           {"no-upload", no_argument, NULL, NO_UPLOAD},
        {"enroll", no_argument, NULL, ENROLL},     {0}};
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "", options, NULL)) != -1) {
        switch (opt) {
        case 'o':
            f->dir = optarg;
            break;
        case 'p':
            f->prefix = optarg;
            break;
        case 's':
            f->service = optarg;
            break;
        case 'a':
            f->account = optarg;
            break;
        case 'k':
            f->psk = true;
            break;
        case NO_UPLOAD:
            f->upload = false;
            break;
        case ENROLL:
            f->enroll = true;
            break;
        case 'f':
        case 'n':
            if (dr_parse_u64_max(optarg, strlen(optarg), opt == 'n' ? COUNT_MAX : INT32_MAX,
                                 opt == 'f' ? &f->first : &f->count) != DR_OK) {
                return CLI_USAGE;
            }
            break;
        default:
            return CLI_USAGE;
        }
    }
    bool fits = optind == argc + 1 && f->dir != NULL && f->count > 0 &&
                strlen(f->prefix) <= PREFIX_MAX && strpbrk(f->prefix, "/,\"\n\r") == NULL &&
                !(f->psk && f->enroll);
    return fits ? CLI_OK : CLI_USAGE;
}

static int fail_at(const char *path, dr_err_t err, const struct dr_errinfo *info)
{
    return cli_fail(CLI_FAILED, "%s: %s", path, info->text[0] ? info->text : dr_err_str(err));
}

/* A new file of mode 0600. */
static int put(const struct factory *f, const char *name, const void *data, size_t len)
{
    char path[DR_PATH_MAX];
    struct dr_errinfo info = {0};
    dr_err_t err = dr_path_join(path, f->dir, name);

    if (err == DR_OK && access(path, F_OK) == 0) {
        return cli_fail(CLI_FAILED, "'%s' is there already", path);
    }
    err = err == DR_OK ? dr_file_write(path, data, len, &info) : err;
    return err == DR_OK ? CLI_OK : fail_at(name, err, &info);
}

static int authority_make(struct factory *f)
{
    char cn[CERT_NAME_MAX + 1], pem[CERT_PEM_MAX], key[CERT_KEY_PEM_MAX];

    (void)snprintf(cn, sizeof cn, "Factory %s%08x", f->prefix, dr_rand_u32());
    dr_err_t err = cert_authority_create(cn, &f->authority);
    if (err != DR_OK) {
        return cli_fail(CLI_FAILED, "cannot make an authority: %s", dr_err_str(err));
    }
    size_t n = cert_pem_write(cert_authority_der(f->authority), pem, sizeof pem);
    size_t k = cert_key_pem(cert_authority_key(f->authority), key, sizeof key);
    int rc = put(f, "authority.key", key, k);
    dr_wipe(key, sizeof key);
    return rc == CLI_OK ? put(f, "authority.pem", pem, n) : rc;
}

static int authority_load(struct factory *f)
{
    char path[DR_PATH_MAX], *pem = NULL, *key_text = NULL;
    size_t len = 0, key_len = 0, der_len = 0;
    uint8_t der[CERT_DER_MAX];
    struct cert_key *key = NULL;
    struct dr_errinfo info = {0};
    dr_err_t err = dr_path_join(path, f->dir, "authority.pem");

    err = err == DR_OK ? dr_file_read(path, CERT_PEM_MAX, &pem, &len, &info) : err;
    if (err == DR_ERR_NOT_FOUND) {
        return authority_make(f);
    }
    err = err == DR_OK ? cert_upload_read(pem, len, der, &der_len) : err;
    err = err == DR_OK ? dr_path_join(path, f->dir, "authority.key") : err;
    err = err == DR_OK ? dr_file_read(path, CERT_PEM_MAX, &key_text, &key_len, &info) : err;
    err = err == DR_OK ? cert_key_from_pem(key_text, key_len, &key) : err;
    err = err == DR_OK ? cert_authority_load(dr_bytes_of(der, der_len), key, &f->authority) : err;
    if (err != DR_OK) {
        cert_key_free(key);
    }
    free(pem);
    if (key_text != NULL) {
        dr_wipe(key_text, key_len);
    }
    free(key_text);
    return err == DR_OK ? CLI_OK : fail_at(path, err, &info);
}

static int make_x509(struct factory *f, const char *endpoint)
{
    const struct cert_subject subject = {.cn = endpoint, .ou = f->account};
    char name[PREFIX_MAX + 32], text[CERT_PEM_MAX + CERT_KEY_PEM_MAX], hex[3 * CERT_SHA256_LEN];
    struct cert_key *key = NULL;
    struct cert_issued cert;
    dr_err_t err = cert_key_generate(&key);

    err =
        err == DR_OK ? cert_issue_key(f->authority, &subject, CERT_USE_DEVICE, key, 0, &cert) : err;
    if (err != DR_OK) {
        cert_key_free(key);
        return cli_fail(CLI_FAILED, "%s: %s", endpoint, dr_err_str(err));
    }
    size_t n = cert_pem_write(dr_bytes_of(cert.der, cert.len), text, CERT_PEM_MAX);
    n += cert_key_pem(key, text + n, sizeof text - n);
    cert_key_free(key);
    (void)snprintf(name, sizeof name, "%s.pem", endpoint);
    int rc = put(f, name, text, n);
    dr_wipe(text, sizeof text);
    cert_hex_colons(cert.fingerprint, sizeof cert.fingerprint, hex);
    dr_dynbuf_printf(&f->csv, "A-%s,%s,%s\n", hex, endpoint, cert.serial);
    return rc;
}

static int make_psk(struct factory *f, const char *endpoint)
{
    uint8_t key[PSK_LEN];
    char name[PREFIX_MAX + 32], hex[DR_HEX_LEN(PSK_LEN) + 1], text[PREFIX_MAX + 128];

    dr_rand_bytes(key, sizeof key);
    dr_hex_encode(key, sizeof key, hex);
    int n = snprintf(text, sizeof text, "identity=%s\nkey=%s\n", endpoint, hex);
    (void)snprintf(name, sizeof name, "%s.psk", endpoint);
    int rc = put(f, name, text, (size_t)n);
    dr_dynbuf_printf(&f->csv, "%s,%s,%s\n", endpoint, endpoint, hex);
    dr_wipe(key, sizeof key);
    dr_wipe(hex, sizeof hex);
    dr_wipe(text, sizeof text);
    return rc;
}

static int upload_authority(struct cli *c, const struct factory *f)
{
    char pem[CERT_PEM_MAX];
    struct cli_answer a;

    (void)cert_pem_write(cert_authority_der(f->authority), pem, sizeof pem);
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:b}", "name", cert_authority_info(f->authority)->cn, "service",
                  f->service, "certificate", pem, "enrollment_mode", f->enroll);
    cli_request(c, "POST", "/v3/trusted-certificates", body, &a);
    json_decref(body);
    /* 409: by an earlier batch */
    int rc = a.status == 409 ? CLI_OK : cli_answer_check(&a);
    cli_answer_fini(&a);
    return rc;
}

static int upload(struct cli *c, const struct factory *f, char *csv)
{
    if (f->psk) {
        return cli_psk_import(c, csv);
    }
    int rc = upload_authority(c, f);
    return rc == CLI_OK && f->enroll ? cli_enroll_import(c, csv) : rc;
}

static int make_all(struct factory *f, char csv[DR_PATH_MAX])
{
    char name[64];
    int rc = f->psk ? CLI_OK : authority_load(f);

    if (!f->psk) {
        dr_dynbuf_append_str(&f->csv, "enrollment_identity,endpoint,serial\n");
    }
    for (uint64_t i = f->first; rc == CLI_OK && i < f->first + f->count; i++) {
        char endpoint[PREFIX_MAX + 24];
        (void)snprintf(endpoint, sizeof endpoint, "%s%llu", f->prefix, (unsigned long long)i);
        rc = f->psk ? make_psk(f, endpoint) : make_x509(f, endpoint);
    }
    if (rc == CLI_OK && dr_dynbuf_err(&f->csv) != DR_OK) {
        rc = cli_fail(CLI_FAILED, "out of memory");
    }
    (void)snprintf(name, sizeof name, "%s-%llu.csv", f->psk ? "keys" : "devices",
                   (unsigned long long)f->first);
    if (rc == CLI_OK) {
        rc = put(f, name, f->csv.p, f->csv.len);
    }
    return rc == CLI_OK && dr_path_join(csv, f->dir, name) != DR_OK ? CLI_FAILED : rc;
}

static int factory_run(struct cli *c, int argc, char **argv)
{
    struct factory f = {.prefix = "device-", .service = "bootstrap", .upload = true};
    char csv[DR_PATH_MAX];
    int rc = options_read(&f, argc, argv);

    if (rc != CLI_OK) {
        return rc;
    }
    if (mkdir(f.dir, 0700) != 0 && errno != EEXIST) {
        return cli_fail(CLI_FAILED, "cannot make '%s': %s", f.dir, strerror(errno));
    }
    dr_dynbuf_init(&f.csv, ALL_MAX);
    rc = make_all(&f, csv);
    if (rc == CLI_OK && f.upload) {
        rc = upload(c, &f, csv);
    }
    if (rc == CLI_OK && !c->json) {
        printf("%llu identities in %s\n", (unsigned long long)f.count, f.dir);
    }
    if (f.csv.p != NULL) {
        dr_wipe(f.csv.p, f.csv.len);
    }
    dr_dynbuf_fini(&f.csv);
    cert_authority_free(f.authority);
    return rc;
}

const struct cli_command cli_factory_commands[] = {
    {"factory", "",
     "--out DIR --count N [--prefix P] [--first I] [--psk | --service bootstrap|lwm2m] [--enroll] "
     "[--account ID] [--no-upload]",
     "identities for a batch of devices: a file each, a CSV, and the server knows them",
     factory_run},
    {0}};
