/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the current folder, then the input file, then the command line: later ones win. Out
 * of the flat settings a manifest view is filled, which is built, signed and checked.
 */
#include "cli/manifest.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/text.h"

#define NONCE_LEN       16
#define VENDOR_DATA_MAX 4096
#define HEX_BUF_MAX     1024

/* What the view borrows. */
struct create {
    json_t *flat; /* owned */
    const char *output;
    struct manifest m;
    enum manifest_alg alg;
    struct manifest_key *key, *cert; /* owned */
    struct mt_signing_tool tool;
    uint8_t vendor[MANIFEST_ID_LEN], class_id[MANIFEST_ID_LEN], device[MANIFEST_ID_LEN];
    uint8_t digest[MANIFEST_IMAGES_MAX][MANIFEST_DIGEST_LEN];
    uint8_t installed[MANIFEST_DIGEST_LEN], precursor[MANIFEST_DIGEST_LEN];
    uint8_t image_sig[MANIFEST_SIG_LEN], nonce[NONCE_LEN];
    uint8_t hex[HEX_BUF_MAX];
    char tool_path[MT_PATH_MAX];
    char *vendor_data; /* owned */
};

static const char *text_of(const struct create *k, const char *key)
{
    return json_string_value(json_object_get(k->flat, key));
}

/* A number that may be given as text. CLI_NOT_FOUND when absent. */
static int number_of(const struct create *k, const char *key, uint64_t *ret)
{
    const json_t *v = json_object_get(k->flat, key);
    const char *text = json_string_value(v);
    json_int_t n = json_integer_value(v);

    if (v == NULL) {
        return CLI_NOT_FOUND;
    }
    if (json_is_integer(v) && n >= 0) {
        *ret = (uint64_t)n;
        return CLI_OK;
    }
    return text != NULL && dr_parse_u64(text, strlen(text), ret) == DR_OK
               ? CLI_OK
               : cli_fail(CLI_FAILED, "'%s' is not a number from 0 on", key);
}

/* Hex of exactly @p len octets. CLI_NOT_FOUND when absent. */
static int hex_of(const struct create *k, const char *key, uint8_t *ret, size_t len)
{
    const char *text = text_of(k, key);
    size_t got = 0;

    if (text == NULL) {
        return CLI_NOT_FOUND;
    }
    uint8_t buf[MANIFEST_SIG_LEN];
    if (dr_hex_decode(text, strlen(text), buf, sizeof buf, &got) != DR_OK || got != len) {
        return cli_fail(CLI_FAILED, "'%s' is not hex of %zu octets", key, len);
    }
    memcpy(ret, buf, len);
    return CLI_OK;
}

static int id_of(const struct create *k, const char *key, uint8_t *ret)
{
    const char *text = text_of(k, key);

    if (text == NULL) {
        return CLI_NOT_FOUND;
    }
    return manifest_id_parse(dr_bytes_str(text), ret) == DR_OK
               ? CLI_OK
               : cli_fail(CLI_FAILED, "'%s' is not a UUID", key);
}

static int set_identity(struct create *k)
{
    const char *domain = text_of(k, "domain"), *model = text_of(k, "model");
    int rc = id_of(k, "vendor-id", k->vendor);

    if (domain != NULL) {
        rc = manifest_vendor_id(dr_bytes_str(domain), k->vendor) == DR_OK
                 ? CLI_OK
                 : cli_fail(CLI_FAILED, "the domain is too long");
    }
    if (rc == CLI_NOT_FOUND) {
        rc = cli_fail(CLI_FAILED, "no vendor (--domain or --vendor-id)");
    }
    if (rc == CLI_OK) {
        rc = id_of(k, "class-id", k->class_id);
    }
    if (model != NULL && (rc == CLI_OK || rc == CLI_NOT_FOUND)) {
        rc = manifest_class_id(k->vendor, dr_bytes_str(model), k->class_id) == DR_OK
                 ? CLI_OK
                 : cli_fail(CLI_FAILED, "the model name is too long");
    }
    if (rc == CLI_NOT_FOUND) {
        rc = cli_fail(CLI_FAILED, "no device class (--model or --class-id)");
    }
    if (rc != CLI_OK) {
        return rc;
    }
    k->m.vendor = dr_bytes_of(k->vendor, sizeof k->vendor);
    k->m.class_id = dr_bytes_of(k->class_id, sizeof k->class_id);
    rc = id_of(k, "device-id", k->device);
    if (rc == CLI_OK) {
        k->m.device = dr_bytes_of(k->device, sizeof k->device);
    }
    return rc == CLI_NOT_FOUND ? CLI_OK : rc;
}

static int set_payload_format(struct create *k)
{
    static const struct {
        const char *name;
        enum manifest_payload_format format;
    } names[] = {{"raw-binary", MANIFEST_PAYLOAD_RAW},
                 {"arm-patch-stream", MANIFEST_PAYLOAD_DELTA},
                 {"bsdiff-stream", MANIFEST_PAYLOAD_DELTA},
                 {"combined", MANIFEST_PAYLOAD_COMBINED},
                 {"encrypted-raw", MANIFEST_PAYLOAD_ENCRYPTED_RAW},
                 {"encrypted-combined", MANIFEST_PAYLOAD_ENCRYPTED_COMBINED}};
    const char *text = text_of(k, "payload-format");

    k->m.payload_format = text == NULL ? MANIFEST_PAYLOAD_RAW : MANIFEST_PAYLOAD_NONE;
    for (size_t i = 0; text != NULL && i < DR_ARRAY_LEN(names); i++) {
        if (strcmp(names[i].name, text) == 0) {
            k->m.payload_format = names[i].format;
        }
    }
    bool fits = k->m.payload_format != MANIFEST_PAYLOAD_NONE &&
                (k->m.format == MANIFEST_V3 || k->m.payload_format == MANIFEST_PAYLOAD_RAW ||
                 (k->m.format == MANIFEST_V1 && k->m.payload_format == MANIFEST_PAYLOAD_DELTA));
    return fits ? CLI_OK
                : cli_fail(CLI_FAILED, "payload format '%s' does not exist in %s", text,
                           mt_format_name(k->m.format));
}

/* The object behind the URL: of a file, or digest and size as they are. */
static int set_image(struct create *k)
{
    struct manifest_image *img = &k->m.images[0];
    const char *file = text_of(k, "payload"), *url = text_of(k, "url");

    if (url == NULL || url[0] == '\0') {
        return cli_fail(CLI_FAILED, "no URL of the payload (--url)");
    }
    int rc = hex_of(k, "payload-digest", k->digest[0], MANIFEST_DIGEST_LEN);
    if (rc == CLI_OK) {
        rc = number_of(k, "payload-size", &img->size);
    } else if (rc == CLI_NOT_FOUND && file != NULL) {
        rc = mt_hash_file(file, k->digest[0], &img->size);
    }
    if (rc == CLI_NOT_FOUND) {
        return cli_fail(CLI_FAILED, "no payload (--payload FILE, or its digest and size)");
    }
    img->digest = dr_bytes_of(k->digest[0], MANIFEST_DIGEST_LEN);
    img->has_size = true;
    img->uri = dr_bytes_str(url);
    img->slot = -1;
    k->m.image_count = 1;
    return rc;
}

/* Digests in the .yaml beside a delta are base64, or base64 of that. */
static int sidecar_digest(const json_t *side, const char *key, uint8_t *ret)
{
    uint8_t once[64], twice[64];
    size_t n = 0;
    const char *text = cli_text(side, key);

    dr_err_t err = dr_base64_decode(text, strlen(text), once, sizeof once, &n);
    if (err == DR_OK && n == DR_BASE64_LEN(MANIFEST_DIGEST_LEN)) {
        err = dr_base64_decode((const char *)once, n, twice, sizeof twice, &n);
        memcpy(once, twice, sizeof once);
    }
    if (err != DR_OK || n != MANIFEST_DIGEST_LEN) {
        return cli_fail(CLI_FAILED, "'%s' beside the delta is no digest", key);
    }
    memcpy(ret, once, MANIFEST_DIGEST_LEN);
    return CLI_OK;
}

static int read_sidecar(struct create *k, const char *delta)
{
    char name[MT_PATH_MAX];

    const char *slash = strrchr(delta, '/'), *dot = strrchr(delta, '.');
    size_t stem =
        dot != NULL && (slash == NULL || dot > slash + 1) ? (size_t)(dot - delta) : strlen(delta);
    int n = snprintf(name, sizeof name, "%.*s.yaml", (int)stem, delta);
    json_t *side = n > 0 && (size_t)n < sizeof name ? mt_load_config(name) : NULL;
    if (side == NULL) {
        return CLI_FAILED;
    }
    const json_t *size = json_object_get(side, "installed-size");
    int rc = sidecar_digest(side, "installed-digest", k->installed);
    if (rc == CLI_OK) {
        rc = sidecar_digest(side, "precursor-digest", k->precursor);
    }
    if (rc == CLI_OK && (!json_is_integer(size) || json_integer_value(size) <= 0)) {
        rc = cli_fail(CLI_FAILED, "'%s': installed-size is missing", name);
    }
    k->m.installed_size = (uint64_t)json_integer_value(size);
    json_decref(side);
    return rc;
}

/* installed and precursor from files, from digests, or from the .yaml beside the delta. */
static int set_delta(struct create *k)
{
    const char *old = text_of(k, "precursor"), *new_image = text_of(k, "installed");
    const char *delta = text_of(k, "payload");
    uint64_t size = 0;
    int rc = hex_of(k, "precursor-digest", k->precursor, MANIFEST_DIGEST_LEN);

    if (rc == CLI_NOT_FOUND && old == NULL) {
        return delta != NULL ? read_sidecar(k, delta)
                             : cli_fail(CLI_FAILED, "a delta needs its precursor");
    }
    if (old != NULL && (rc == CLI_OK || rc == CLI_NOT_FOUND)) {
        rc = mt_hash_file(old, k->precursor, &size);
    }
    if (rc == CLI_OK && new_image != NULL) {
        return mt_hash_file(new_image, k->installed, &k->m.installed_size);
    }
    if (rc == CLI_OK) {
        rc = hex_of(k, "installed-digest", k->installed, MANIFEST_DIGEST_LEN);
    }
    if (rc == CLI_OK) {
        rc = number_of(k, "installed-size", &k->m.installed_size);
    }
    return rc == CLI_NOT_FOUND
               ? cli_fail(CLI_FAILED, "a delta needs the image that it makes (--installed)")
               : rc;
}

/* The service encrypts: what is fetched is its object, the file is the plain image. */
static int set_encrypted(struct create *k)
{
    struct manifest_image *img = &k->m.images[0];

    memcpy(k->installed, k->digest[0], MANIFEST_DIGEST_LEN);
    k->m.installed_size = img->size;
    int rc = hex_of(k, "encrypted-digest", k->digest[0], MANIFEST_DIGEST_LEN);
    if (rc == CLI_OK) {
        rc = number_of(k, "encrypted-size", &img->size);
    }
    return rc == CLI_NOT_FOUND
               ? cli_fail(CLI_FAILED, "an encrypted payload needs the digest and size that the "
                                      "service shows (--encrypted-digest, --encrypted-size)")
               : rc;
}

static int set_installed(struct create *k)
{
    struct manifest *m = &k->m;
    int rc = CLI_OK;

    switch (m->payload_format) {
    case MANIFEST_PAYLOAD_DELTA:
        rc = set_delta(k);
        m->images[0].precursor = dr_bytes_of(k->precursor, sizeof k->precursor);
        break;
    case MANIFEST_PAYLOAD_COMBINED:
        memcpy(k->installed, k->digest[0], MANIFEST_DIGEST_LEN);
        m->installed_size = m->images[0].size;
        break;
    case MANIFEST_PAYLOAD_ENCRYPTED_RAW:
    case MANIFEST_PAYLOAD_ENCRYPTED_COMBINED:
        rc = set_encrypted(k);
        break;
    default:
        return CLI_OK;
    }
    m->has_installed = true;
    m->installed_digest = dr_bytes_of(k->installed, sizeof k->installed);
    return rc;
}

/* SUIT: an image that must be there, and images for slots. */
static int set_suit(struct create *k)
{
    struct manifest *m = &k->m;
    const char *old = text_of(k, "precursor");
    const json_t *slots = json_object_get(k->flat, "slots");
    int rc = CLI_OK;

    if (old != NULL) {
        rc = mt_hash_file(old, k->precursor, &m->images[0].precursor_size);
        m->images[0].precursor = dr_bytes_of(k->precursor, sizeof k->precursor);
    }
    for (size_t i = 0; rc == CLI_OK && i < json_array_size(slots); i++) {
        const json_t *slot = json_array_get(slots, i);
        struct manifest_image *img = &m->images[i + 1];
        if (i + 1 == MANIFEST_IMAGES_MAX || old != NULL) {
            return cli_fail(CLI_FAILED, "too many slots, or slots and a precursor");
        }
        rc = mt_hash_file(cli_text(slot, "payload"), k->digest[i + 1], &img->size);
        img->digest = dr_bytes_of(k->digest[i + 1], MANIFEST_DIGEST_LEN);
        img->has_size = true;
        img->uri = dr_bytes_str(cli_text(slot, "url"));
        img->slot = (int64_t)i + 1;
        m->image_count++;
        m->images[0].slot = 0;
    }
    m->install_severed = json_is_true(json_object_get(k->flat, "sever-install"));
    m->has_invoke = json_is_true(json_object_get(k->flat, "invoke"));
    return rc;
}

static int set_version(struct create *k)
{
    const json_t *v = json_object_get(k->flat, "version");
    struct manifest *m = &k->m;

    if (m->format == MANIFEST_V3) {
        const char *text = json_string_value(v);
        if (text == NULL || manifest_version_parse(dr_bytes_str(text), &m->version) != DR_OK) {
            return cli_fail(CLI_FAILED, "v3 needs --version MAJOR.MINOR.SPLIT (0 to 999 each)");
        }
        m->version_text = dr_bytes_str(text);
        return CLI_OK;
    }
    if (json_is_string(v) &&
        manifest_version_parse(dr_bytes_str(json_string_value(v)), &m->version) == DR_OK) {
        return CLI_OK; /* the number that a v3 client will compare with later */
    }
    int rc = number_of(k, "version", &m->version);
    if (rc == CLI_NOT_FOUND && m->format == MANIFEST_V1) {
        m->version = (uint64_t)time(NULL);
        return CLI_OK;
    }
    return rc == CLI_NOT_FOUND ? cli_fail(CLI_FAILED, "SUIT needs --version SEQUENCE-NUMBER") : rc;
}

static int set_vendor_data(struct create *k)
{
    const char *file = text_of(k, "vendor-data"), *hex = text_of(k, "vendor-data-hex");
    size_t len = 0;

    if (file != NULL) {
        k->vendor_data = cli_read_file(file, VENDOR_DATA_MAX, &len);
        k->m.vendor_data = dr_bytes_of(k->vendor_data, len);
        return k->vendor_data != NULL ? CLI_OK : CLI_FAILED;
    }
    if (hex != NULL && hex[0] != '\0') {
        if (dr_hex_decode(hex, strlen(hex), k->hex, sizeof k->hex, &len) != DR_OK) {
            return cli_fail(CLI_FAILED, "the vendor data is not hex");
        }
        k->m.vendor_data = dr_bytes_of(k->hex, len);
    }
    return CLI_OK;
}

static struct dr_bytes bytes_or(const char *text, const char *standard)
{
    return dr_bytes_str(text != NULL ? text : standard);
}

static int set_v1(struct create *k)
{
    struct manifest *m = &k->m;
    const json_t *now = json_object_get(k->flat, "apply-immediately");
    int rc = hex_of(k, "nonce", k->nonce, sizeof k->nonce);

    if (rc == CLI_NOT_FOUND) {
        dr_rand_bytes(k->nonce, sizeof k->nonce);
        rc = CLI_OK;
    }
    m->mode = MANIFEST_MODE_ECC;
    m->nonce = dr_bytes_of(k->nonce, sizeof k->nonce);
    m->storage_id = bytes_or(text_of(k, "storage-id"), "default");
    m->apply_immediately = now == NULL || json_is_true(now);
    if (rc == CLI_OK && json_object_get(k->flat, "valid-from") != NULL) {
        m->has_apply_period = true;
        rc = number_of(k, "valid-from", &m->valid_from);
        rc = rc == CLI_OK ? number_of(k, "valid-to", &m->valid_to) : rc;
    }
    return rc;
}

static int set_rest(struct create *k)
{
    struct manifest *m = &k->m;
    int rc = number_of(k, "priority", &m->priority);

    m->has_priority = rc == CLI_OK;
    if (rc == CLI_NOT_FOUND) {
        rc = CLI_OK; /* v3 writes 0 */
    }
    m->description = bytes_or(text_of(k, "description"), "");
    if (m->format == MANIFEST_V3) {
        m->component = bytes_or(text_of(k, "component"), "MAIN");
    }
    if (rc == CLI_OK) {
        rc = set_vendor_data(k);
    }
    if (rc == CLI_OK && m->format == MANIFEST_V1) {
        rc = set_v1(k);
    }
    return rc;
}

/* ---- keys ---- */

static int load_keys(struct create *k)
{
    const char *tool = text_of(k, "signing-tool"), *key = text_of(k, "key");
    const char *cert = text_of(k, "cert"), *id = text_of(k, "signing-key-id");
    int rc = CLI_OK;

    if (cert != NULL) {
        rc = mt_load_public(cert, &k->cert);
    }
    if (rc == CLI_OK && tool != NULL) {
        if (k->cert == NULL) {
            return cli_fail(CLI_FAILED, "a signing tool needs --cert to check its signature with");
        }
        bool here = strchr(tool, '/') == NULL && access(tool, X_OK) == 0;
        (void)snprintf(k->tool_path, sizeof k->tool_path, "%s%s", here ? "./" : "", tool);
        k->tool = (struct mt_signing_tool){.tool = k->tool_path,
                                           .key_id = id != NULL    ? id
                                                     : key != NULL ? key
                                                                   : "",
                                           .public_key = k->cert};
        return CLI_OK;
    }
    if (rc == CLI_OK) {
        rc = key == NULL ? cli_fail(CLI_FAILED, "no private key (--key or --signing-tool)")
                         : mt_load_private(key, &k->key);
    }
    if (rc == CLI_OK && k->cert != NULL && !manifest_key_same(k->key, k->cert)) {
        rc = cli_fail(CLI_FAILED, "'%s' is not the certificate of the key '%s'", cert, key);
    }
    return rc;
}

/* Before anything is signed: the certificate reference of v1, the image's signature of v3. */
static int prepare_signing(struct create *k)
{
    struct manifest *m = &k->m;
    const uint8_t *fingerprint = k->cert == NULL ? NULL : manifest_key_fingerprint(k->cert);

    if (m->format == MANIFEST_V1) {
        if (fingerprint == NULL) {
            return cli_fail(CLI_FAILED, "v1 needs the certificate of the key (--cert)");
        }
        m->signatures[0].fingerprint = dr_bytes_of(fingerprint, MANIFEST_DIGEST_LEN);
        m->signatures[0].cert_uri = bytes_or(text_of(k, "cert-uri"), "");
        m->signature_count = 1;
    }
    if (!json_is_true(json_object_get(k->flat, "sign-image"))) {
        return CLI_OK;
    }
    if (m->format != MANIFEST_V3 || k->key == NULL) {
        return cli_fail(CLI_FAILED, "an image can be signed in v3 only, and with --key");
    }
    const uint8_t *digest = m->has_installed ? k->installed : k->digest[0];
    if (manifest_key_sign_digest(k->key, digest, k->image_sig) != DR_OK) {
        return cli_fail(CLI_FAILED, "the image cannot be signed");
    }
    m->installed_signature = dr_bytes_of(k->image_sig, sizeof k->image_sig);
    return CLI_OK;
}

/* Build, check with the public key, write. */
static int finish(const struct cli *c, struct create *k)
{
    struct manifest_fault fault = {0};
    struct manifest_signer signer = {.sign = mt_sign_with_tool, .data = &k->tool};
    struct manifest_verdict verdict;
    struct manifest seen;
    char line[512];
    size_t cap = 64UL * 1024, len = 0;

    if (k->key != NULL) {
        signer = manifest_key_signer(k->key);
    }
    uint8_t *out = malloc(cap);
    if (out == NULL) {
        return cli_fail(CLI_FAILED, "out of memory");
    }
    dr_err_t err = manifest_build(&k->m, &signer, k->alg, out, cap, &len, &fault);
    int rc = CLI_OK;
    if (err == DR_ERR_INVAL) {
        rc = cli_fail(CLI_FAILED, "%s: %s", manifest_check_name(fault.check), fault.why);
    } else if (err != DR_OK) {
        rc = cli_fail(CLI_FAILED, "not signed: %s", dr_err_str(err));
    } else {
        const struct manifest_key *keys[] = {k->key != NULL ? k->key : k->cert};
        struct manifest_means means = {.keys = keys, .key_count = 1};
        manifest_check(dr_bytes_of(out, len), &means, &verdict, &seen);
        rc = verdict.accepted
                 ? mt_write_file(k->output, dr_bytes_of(out, len), 0644)
                 : cli_fail(CLI_FAILED, "%s: %s", manifest_check_name(verdict.fault.check),
                            verdict.fault.why);
    }
    if (rc == CLI_OK && strcmp(k->output, "-") != 0) {
        if (c->json) {
            json_t *json = mt_manifest_json(&seen);
            cli_print_json(c, json);
            json_decref(json);
        } else {
            mt_summary(&seen, line, sizeof line);
            printf("%s: %s, %zu octets%s%s\n", k->output, line, len,
                   verdict.note[0] != '\0' ? "; note: " : "", verdict.note);
        }
    }
    free(out);
    return rc;
}

/* ---- options ---- */

static const struct option options[] = {{"input", required_argument, NULL, 'i'},
                                        {"config", required_argument, NULL, 'i'},
                                        {"output", required_argument, NULL, 'o'},
                                        {"format", required_argument, NULL, 0},
                                        {"key", required_argument, NULL, 'k'},
                                        {"cert", required_argument, NULL, 0},
                                        {"cert-uri", required_argument, NULL, 0},
                                        {"url", required_argument, NULL, 'u'},
                                        {"payload", required_argument, NULL, 'p'},
                                        {"payload-format", required_argument, NULL, 0},
                                        {"payload-digest", required_argument, NULL, 0},
                                        {"payload-size", required_argument, NULL, 0},
                                        {"version", required_argument, NULL, 'v'},
                                        {"domain", required_argument, NULL, 'd'},
                                        {"model", required_argument, NULL, 'm'},
                                        {"vendor-id", required_argument, NULL, 0},
                                        {"class-id", required_argument, NULL, 0},
                                        {"device-id", required_argument, NULL, 0},
                                        {"component", required_argument, NULL, 0},
                                        {"priority", required_argument, NULL, 'r'},
                                        {"description", required_argument, NULL, 0},
                                        {"vendor-data", required_argument, NULL, 0},
                                        {"precursor", required_argument, NULL, 0},
                                        {"installed", required_argument, NULL, 0},
                                        {"storage-id", required_argument, NULL, 0},
                                        {"encrypted-digest", required_argument, NULL, 0},
                                        {"encrypted-size", required_argument, NULL, 0},
                                        {"signing-tool", required_argument, NULL, 0},
                                        {"signing-key-id", required_argument, NULL, 0},
                                        {"slot", required_argument, NULL, 'S'},
                                        {"sign-image", no_argument, NULL, 1},
                                        {"invoke", no_argument, NULL, 1},
                                        {"sever-install", no_argument, NULL, 1},
                                        {"es256", no_argument, NULL, 'E'},
                                        {0}};

/* --slot URL,FILE: what the next slot gets */
static int add_slot(json_t *set, const char *arg)
{
    const char *comma = strrchr(arg, ',');
    json_t *slots = json_object_get(set, "slots");

    if (comma == NULL) {
        return cli_fail(CLI_USAGE, "--slot URL,FILE");
    }
    if (slots == NULL) {
        slots = json_array();
        (void)json_object_set_new(set, "slots", slots);
    }
    return json_array_append_new(slots, json_pack("{s:s%, s:s}", "url", arg, (size_t)(comma - arg),
                                                  "payload", comma + 1)) == 0
               ? CLI_OK
               : CLI_FAILED;
}

static int get_options(struct create *k, int argc, char **argv, json_t *set, const char **ret_input)
{
    int opt, index = 0;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "i:c:o:k:u:p:v:d:m:r:", options, &index)) != -1) {
        static const struct {
            int opt;
            const char *name;
        } letters[] = {{'k', "key"},    {'u', "url"},   {'p', "payload"}, {'v', "version"},
                       {'d', "domain"}, {'m', "model"}, {'r', "priority"}};
        const char *name = opt == 0 || opt == 1 ? options[index].name : NULL;
        for (size_t i = 0; i < DR_ARRAY_LEN(letters); i++) {
            name = letters[i].opt == opt ? letters[i].name : name;
        }
        if (opt == 'i' || opt == 'c') {
            *ret_input = optarg;
        } else if (opt == 'o') {
            k->output = optarg;
        } else if (opt == 'E') {
            k->alg = MANIFEST_ES256;
        } else if (opt == 'S') {
            int rc = add_slot(set, optarg);
            if (rc != CLI_OK) {
                return rc;
            }
        } else if (name == NULL) {
            return CLI_USAGE;
        } else {
            json_t *v = opt == 1 ? json_true() : json_string(optarg);
            if (json_object_set_new(set, name, v) != 0) {
                return cli_fail(CLI_USAGE, "--%s is not UTF-8", name);
            }
        }
    }
    return optind == argc + 1 && k->output != NULL ? CLI_OK : CLI_USAGE;
}

static int load_input(struct create *k, const char *name)
{
    char folder[MT_PATH_MAX] = "";

    json_t *input = mt_load_config(name);
    if (input == NULL) {
        return CLI_FAILED;
    }
    const char *slash = strrchr(name, '/');
    if (slash != NULL) {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
    }
    int rc = mt_flatten(input, folder, k->flat);
    json_decref(input);
    return rc;
}

/* What is later said about an identity replaces the other way of saying it. */
static void override_settings(json_t *flat, json_t *set)
{
    static const struct {
        const char *given, *drop;
    } pairs[] = {{"vendor-id", "domain"},
                 {"class-id", "model"},
                 {"payload", "payload-digest"},
                 {"key", "signing-tool"},
                 {"vendor-data", "vendor-data-hex"}};

    for (size_t i = 0; i < DR_ARRAY_LEN(pairs); i++) {
        if (json_object_get(set, pairs[i].given) != NULL) {
            (void)json_object_del(flat, pairs[i].drop);
        }
    }
    (void)json_object_update(flat, set);
}

static int set_format(struct create *k)
{
    const char *format = text_of(k, "format");

    k->m.format = format == NULL || strcmp(format, "v3") == 0 ? MANIFEST_V3
                  : strcmp(format, "v1") == 0                 ? MANIFEST_V1
                                                              : MANIFEST_SUIT;
    return k->m.format != MANIFEST_SUIT || strcmp(format, "suit") == 0
               ? CLI_OK
               : cli_fail(CLI_USAGE, "the format is v1, v3 or suit");
}

static int create(const struct cli *c, struct create *k, const char *input, json_t *set)
{
    static int (*const steps[])(struct create *) = {set_format, set_identity,  set_payload_format,
                                                    set_image,  set_installed, set_version,
                                                    set_rest,   load_keys,     prepare_signing};
    int rc = CLI_OK;

    if (access(MT_SETTINGS_1, R_OK) == 0) {
        rc = load_input(k, MT_SETTINGS_1);
    } else if (access(MT_SETTINGS_2, R_OK) == 0) {
        json_t *settings = mt_load_config(MT_SETTINGS_2); /* its paths start here, not there */
        rc = settings == NULL ? CLI_FAILED : mt_flatten(settings, "", k->flat);
        json_decref(settings);
    }
    if (rc == CLI_OK && input != NULL) {
        (void)json_object_del(k->flat, "format"); /* the input decides */
        rc = load_input(k, input);
    }
    if (rc == CLI_OK) {
        override_settings(k->flat, set);
    }
    for (size_t i = 0; rc == CLI_OK && i < DR_ARRAY_LEN(steps); i++) {
        rc = steps[i](k);
    }
    if (rc == CLI_OK && k->m.format == MANIFEST_SUIT) {
        rc = set_suit(k);
    }
    return rc == CLI_OK ? finish(c, k) : rc;
}

int mt_create(struct cli *c, int argc, char **argv)
{
    struct create k = {.flat = json_object(), .alg = MANIFEST_ESP256};
    json_t *set = json_object();
    const char *input = NULL;

    int rc = get_options(&k, argc, argv, set, &input);
    if (rc == CLI_OK) {
        rc = create(c, &k, input, set);
    }
    k.key = manifest_key_free(k.key);
    k.cert = manifest_key_free(k.cert);
    free(k.vendor_data);
    json_decref(k.flat);
    json_decref(set);
    return rc;
}
