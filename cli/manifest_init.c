/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout 1 (manifest v1 tools)         layout 2 (manifest v3 tools)
 *   .update-certificates/default.der     .manifest-dev-tool/dev.cert.der
 *   .update-certificates/default.key.pem .manifest-dev-tool/dev.key.pem
 *   .manifest_tool.json                  .manifest-dev-tool/dev.cfg.yaml
 *   update_default_resources.c           update_default_resources.c
 * The C file has the symbols of both, so that either client compiles with it.
 */
#include "cli/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/text.h"

#define DAYS_1        90
#define DAYS_2        7300
#define CERT_MAX      (64UL * 1024)
#define SOURCE        "update_default_resources.c"
#define NAME_MAX_X509 64

struct init {
    const char *domain, *model, *vendor_text, *class_text, *key_file, *cert_file, *tool, *key_id;
    const char *folder;
    unsigned layout;
    bool force;
    uint8_t vendor[MANIFEST_ID_LEN], class_id[MANIFEST_ID_LEN];
    struct manifest_key *key, *cert;                    /* owned */
    struct dr_dynbuf der;                               /* owned: the certificate */
    char key_path[MT_PATH_MAX], cert_path[MT_PATH_MAX]; /* as the settings name them */
};

static int init_options(struct init *k, int argc, char **argv)
{
    static const struct option options[] = {{"domain", required_argument, NULL, 'd'},
                                            {"model", required_argument, NULL, 'm'},
                                            {"vendor-id", required_argument, NULL, 'V'},
                                            {"class-id", required_argument, NULL, 'C'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"signing-tool", required_argument, NULL, 's'},
                                            {"signing-key-id", required_argument, NULL, 'i'},
                                            {"dir", required_argument, NULL, 'D'},
                                            {"layout", required_argument, NULL, 'l'},
                                            {"force", no_argument, NULL, 'f'},
                                            {0}};
    const struct {
        int opt;
        const char **to;
    } texts[] = {{'d', &k->domain},     {'m', &k->model},    {'V', &k->vendor_text},
                 {'C', &k->class_text}, {'k', &k->key_file}, {'c', &k->cert_file},
                 {'s', &k->tool},       {'i', &k->key_id},   {'D', &k->folder}};
    uint64_t layout = 0;
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "d:m:V:C:k:c:s:l:f", options, NULL)) != -1) {
        if (opt == 'f') {
            k->force = true;
        } else if (opt == 'l') {
            if (dr_parse_u64_max(optarg, strlen(optarg), 2, &layout) != DR_OK || layout == 0) {
                return cli_fail(CLI_USAGE, "the layout is 1 or 2");
            }
            k->layout = (unsigned)layout;
        } else if (opt == '?') {
            return CLI_USAGE;
        }
        for (size_t i = 0; i < DR_ARRAY_LEN(texts); i++) {
            *texts[i].to = texts[i].opt == opt ? optarg : *texts[i].to;
        }
    }
    bool names = (k->domain == NULL) != (k->vendor_text == NULL) &&
                 (k->model == NULL) != (k->class_text == NULL);
    bool keys = k->tool == NULL ? (k->key_file == NULL) == (k->cert_file == NULL)
                                : k->cert_file != NULL && k->key_id != NULL && k->key_file == NULL;
    return optind == argc + 1 && names && keys ? CLI_OK : CLI_USAGE;
}

static int set_ids(struct init *k)
{
    dr_err_t err = k->domain != NULL ? manifest_vendor_id(dr_bytes_str(k->domain), k->vendor)
                                     : manifest_id_parse(dr_bytes_str(k->vendor_text), k->vendor);

    if (err == DR_OK) {
        err = k->model != NULL ? manifest_class_id(k->vendor, dr_bytes_str(k->model), k->class_id)
                               : manifest_id_parse(dr_bytes_str(k->class_text), k->class_id);
    }
    return err == DR_OK ? CLI_OK : cli_fail(CLI_USAGE, "vendor or class: %s", dr_err_str(err));
}

static int path_of(const struct init *k, const char *name, char *buf)
{
    int n = strcmp(k->folder, ".") == 0 ? snprintf(buf, MT_PATH_MAX, "%s", name)
                                        : snprintf(buf, MT_PATH_MAX, "%s/%s", k->folder, name);

    return n > 0 && n < MT_PATH_MAX ? CLI_OK : cli_fail(CLI_USAGE, "the folder name is too long");
}

/* A file that init makes: an existing one stays unless --force. */
static int write_new(const struct init *k, const char *name, struct dr_bytes data, unsigned mode)
{
    char path[MT_PATH_MAX];

    int rc = path_of(k, name, path);
    if (rc == CLI_OK && !k->force && access(path, F_OK) == 0) {
        rc = cli_fail(CLI_FAILED, "'%s' is there already (--force replaces it)", path);
    }
    return rc == CLI_OK ? mt_write_file(path, data, mode) : rc;
}

static int make_folder(const struct init *k, const char *name)
{
    char path[MT_PATH_MAX];

    int rc = path_of(k, name, path);
    if (rc == CLI_OK && mkdir(path, 0700) != 0 && errno != EEXIST) {
        rc = cli_fail(CLI_FAILED, "cannot make '%s': %s", path, strerror(errno));
    }
    return rc;
}

static const char *key_name(const struct init *k)
{
    return k->layout == 1 ? ".update-certificates/default.key.pem"
                          : ".manifest-dev-tool/dev.key.pem";
}

static const char *cert_name(const struct init *k)
{
    return k->layout == 1 ? ".update-certificates/default.der" : ".manifest-dev-tool/dev.cert.der";
}

/* The key stays in its own file: one that is given is used where it lies. */
static int use_given(struct init *k)
{
    size_t len = 0;

    char *text = cli_read_file(k->cert_file, CERT_MAX, &len);
    if (text == NULL) {
        return CLI_FAILED;
    }
    dr_dynbuf_append(&k->der, text, len);
    free(text);
    int rc = mt_load_public(k->cert_file, &k->cert);
    if (rc == CLI_OK &&
        (k->der.len == 0 || k->der.p[0] != 0x30 || manifest_key_fingerprint(k->cert) == NULL)) {
        rc = cli_fail(CLI_FAILED, "'%s' is not a certificate in DER", k->cert_file);
    }
    if (rc == CLI_OK && k->key_file != NULL) {
        rc = mt_load_private(k->key_file, &k->key);
    }
    if (rc == CLI_OK && k->key != NULL && !manifest_key_same(k->key, k->cert)) {
        rc = cli_fail(CLI_FAILED, "'%s' is not the certificate of '%s'", k->cert_file, k->key_file);
    }
    (void)snprintf(k->key_path, sizeof k->key_path, "%s", k->key_file != NULL ? k->key_file : "");
    (void)snprintf(k->cert_path, sizeof k->cert_path, "%s", k->cert_file);
    return rc;
}

static int make_key(struct init *k)
{
    struct dr_dynbuf pem;
    char name[NAME_MAX_X509 + 1];

    (void)snprintf(name, sizeof name, "%s",
                   k->layout == 1 && k->domain != NULL ? k->domain : "localhost");
    dr_dynbuf_init(&pem, CERT_MAX);
    dr_err_t err = manifest_key_new(&k->key);
    if (err == DR_OK) {
        err = manifest_key_certificate(k->key, name, k->layout == 1 ? DAYS_1 : DAYS_2,
                                       (int64_t)time(NULL), &k->der);
    }
    if (err == DR_OK) {
        err = manifest_key_load_public(dr_dynbuf_bytes(&k->der), &k->cert, NULL);
    }
    if (err == DR_OK) {
        err = manifest_key_private_pem(k->key, &pem);
    }
    int rc = err == DR_OK ? CLI_OK : cli_fail(CLI_FAILED, "no key: %s", dr_err_str(err));
    if (rc == CLI_OK) {
        rc = write_new(k, key_name(k), dr_dynbuf_bytes(&pem), 0600);
    }
    if (rc == CLI_OK) {
        rc = write_new(k, cert_name(k), dr_dynbuf_bytes(&k->der), 0644);
    }
    dr_wipe(pem.p, pem.len);
    dr_dynbuf_fini(&pem);
    (void)snprintf(k->key_path, sizeof k->key_path, "%s", key_name(k));
    (void)snprintf(k->cert_path, sizeof k->cert_path, "%s", cert_name(k));
    return rc;
}

static void put_array(struct dr_dynbuf *out, const char *name, struct dr_bytes data, bool fixed)
{
    if (fixed) {
        dr_dynbuf_printf(out, "const uint8_t %s[%zu] = {", name, data.len);
    } else {
        dr_dynbuf_printf(out, "const uint8_t %s[] = {", name);
    }
    for (size_t i = 0; i < data.len; i++) {
        dr_dynbuf_printf(out, "%s0x%02x%s", i % 8 == 0 ? "\n    " : " ", data.p[i],
                         i + 1 < data.len ? "," : "");
    }
    dr_dynbuf_append_str(out, "\n};\n");
}

static void put_sized(struct dr_dynbuf *out, const char *name, struct dr_bytes data, bool fixed)
{
    put_array(out, name, data, fixed);
    dr_dynbuf_printf(out, "const uint16_t %s_size = sizeof(%s);\n\n", name, name);
}

static int write_source(struct init *k)
{
    struct dr_dynbuf out;
    uint8_t ski[20], point[MANIFEST_POINT_LEN];

    dr_dynbuf_init(&out, 1 << 20);
    if (manifest_key_ski(k->cert, ski) != DR_OK) {
        return cli_fail(CLI_FAILED, "the certificate cannot be read");
    }
    manifest_key_point(k->cert, point);
    dr_dynbuf_append_str(&out, "/* Made by `drover manifest init`: who may sign updates of this "
                               "device, and for which vendor and class. */\n"
                               "#include <stdint.h>\n\n");
    put_sized(&out, "arm_uc_vendor_id", dr_bytes_of(k->vendor, sizeof k->vendor), true);
    put_sized(&out, "arm_uc_class_id", dr_bytes_of(k->class_id, sizeof k->class_id), true);
    put_sized(&out, "arm_uc_default_fingerprint",
              dr_bytes_of(manifest_key_fingerprint(k->cert), MANIFEST_DIGEST_LEN), false);
    put_sized(&out, "arm_uc_default_subject_key_identifier", dr_bytes_of(ski, sizeof ski), false);
    put_sized(&out, "arm_uc_default_certificate", dr_dynbuf_bytes(&k->der), false);
    put_array(&out, "arm_uc_update_public_key", dr_bytes_of(point, sizeof point), true);
    dr_dynbuf_append_str(&out, "\n/* symmetric keys are not used */\n"
                               "const uint8_t arm_uc_default_psk[1] = {0};\n"
                               "const uint8_t arm_uc_default_psk_size = 0;\n"
                               "const uint16_t arm_uc_default_psk_bits = 0;\n"
                               "const uint8_t arm_uc_default_psk_id[1] = {0};\n"
                               "const uint8_t arm_uc_default_psk_id_size = 0;\n");
    int rc = dr_dynbuf_err(&out) == DR_OK ? write_new(k, SOURCE, dr_dynbuf_bytes(&out), 0644)
                                          : cli_fail(CLI_FAILED, "out of memory");
    dr_dynbuf_fini(&out);
    return rc;
}

static int write_settings_1(struct init *k)
{
    char vendor[MANIFEST_ID_TEXT_LEN + 1], class_id[MANIFEST_ID_TEXT_LEN + 1];

    manifest_id_format(k->vendor, vendor);
    manifest_id_format(k->class_id, class_id);
    json_t *o = json_pack("{s:s, s:s, s:[{s:s}]}", "vendorId", vendor, "classId", class_id,
                          "default-certificates", "file", k->cert_path);
    if (o == NULL) {
        return cli_fail(CLI_FAILED, "a file name is not UTF-8");
    }
    const struct {
        const char *key, *value;
    } more[] = {{"vendorDomain", k->domain},
                {"modelName", k->model},
                {"private-key", k->tool == NULL ? k->key_path : NULL},
                {"signing-tool", k->tool},
                {"signing-key-id", k->key_id}};
    for (size_t i = 0; i < DR_ARRAY_LEN(more); i++) {
        if (more[i].value != NULL) {
            (void)json_object_set_new(o, more[i].key, json_string(more[i].value));
        }
    }
    char *text = json_dumps(o, JSON_INDENT(4) | JSON_SORT_KEYS);
    json_decref(o);
    int rc = text == NULL ? cli_fail(CLI_FAILED, "out of memory")
                          : write_new(k, MT_SETTINGS_1, dr_bytes_str(text), 0644);
    free(text);
    return rc;
}

static int write_settings_2(struct init *k)
{
    char vendor[DR_HEX_LEN(MANIFEST_ID_LEN) + 1], class_id[DR_HEX_LEN(MANIFEST_ID_LEN) + 1];
    struct dr_dynbuf text;

    dr_hex_encode(k->vendor, sizeof k->vendor, vendor);
    dr_hex_encode(k->class_id, sizeof k->class_id, class_id);
    dr_dynbuf_init(&text, 4 * MT_PATH_MAX);
    dr_dynbuf_printf(&text, "certificate: '%s'\nclass-id: '%s'\nkey_file: '%s'\nvendor-id: '%s'\n",
                     k->cert_path, class_id, k->tool == NULL ? k->key_path : k->key_id, vendor);
    if (k->tool != NULL) {
        dr_dynbuf_printf(&text, "signing-tool: '%s'\n", k->tool);
    }
    int rc = write_new(k, MT_SETTINGS_2, dr_dynbuf_bytes(&text), 0644);
    dr_dynbuf_fini(&text);
    return rc;
}

static int run(struct init *k)
{
    int rc = set_ids(k);

    if (rc == CLI_OK) {
        rc = make_folder(k, k->layout == 1 ? ".update-certificates" : ".manifest-dev-tool");
    }
    if (rc == CLI_OK) {
        rc = k->cert_file != NULL ? use_given(k) : make_key(k);
    }
    if (rc == CLI_OK) {
        rc = k->layout == 1 ? write_settings_1(k) : write_settings_2(k);
    }
    return rc == CLI_OK ? write_source(k) : rc;
}

int mt_init(struct cli *c, int argc, char **argv)
{
    struct init k = {.folder = ".", .layout = 1};
    char vendor[MANIFEST_ID_TEXT_LEN + 1], class_id[MANIFEST_ID_TEXT_LEN + 1];

    int rc = init_options(&k, argc, argv);
    if (rc != CLI_OK) {
        return rc;
    }
    dr_dynbuf_init(&k.der, CERT_MAX);
    rc = run(&k);
    if (rc == CLI_OK) {
        manifest_id_format(k.vendor, vendor);
        manifest_id_format(k.class_id, class_id);
        if (c->json) {
            json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "vendor_id", vendor, "class_id", class_id,
                                  "key", k.key_path, "certificate", k.cert_path);
            cli_print_json(c, o);
            json_decref(o);
        } else {
            printf("vendor %s, class %s, certificate %s\n", vendor, class_id, k.cert_path);
        }
    }
    k.key = manifest_key_free(k.key);
    k.cert = manifest_key_free(k.cert);
    dr_dynbuf_fini(&k.der);
    return rc;
}
