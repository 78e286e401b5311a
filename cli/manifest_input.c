/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both generations of input files become one flat object. A key of the 1.x JSON may also stand in
 * its nested place under resource.resource.manifest; the nested one wins.
 */
#include "cli/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum kind {
    TEXT,  /* string */
    PATH,  /* string, relative to the folder of the input */
    CWD,   /* path relative to the current folder, as upstream has it */
    VALUE, /* taken as it is: string, number or boolean */
    IGNORE,
};

struct rule {
    const char *key;  /* in the input */
    const char *flat; /* in the flat object */
    enum kind kind;
};

static const struct rule rules_1[] = {
    {"vendorId", "vendor-id", TEXT},
    {"classId", "class-id", TEXT},
    {"deviceId", "device-id", TEXT},
    {"payloadUri", "url", TEXT},
    {"payloadFile", "payload", PATH},
    {"payloadHash", "payload-digest", TEXT},
    {"payloadSize", "payload-size", VALUE},
    {"storageIdentifier", "storage-id", TEXT},
    {"description", "description", TEXT},
    {"vendorInfo", "vendor-data-hex", TEXT},
    {"priority", "priority", VALUE},
    {"applyImmediately", "apply-immediately", VALUE},
    {"precursorFile", "precursor", CWD},
    {"precursorDigest", "precursor-digest", TEXT},
    {"installedFile", "installed", CWD},
    {"installedDigest", "installed-digest", TEXT},
    {"installedSize", "installed-size", VALUE},
    {"private-key", "key", PATH},
    {"signing-tool", "signing-tool", TEXT},
    {"signing-key-id", "signing-key-id", TEXT},
    {"timestamp", "version", VALUE},
    {"nonce", "nonce", TEXT},
    {"vendorDomain", NULL, IGNORE}, /* init writes these for people */
    {"modelName", NULL, IGNORE},
    {"deviceURNs", NULL, IGNORE},
    {"psk-master-key", NULL, IGNORE},
    {"manifestVersion", NULL, IGNORE},
    {"version", NULL, IGNORE},
};

static int wrong(const char *key, const char *why)
{
    return cli_fail(CLI_FAILED, "input key '%s': %s", key, why);
}

static bool scalar(const json_t *v)
{
    return json_is_string(v) || json_is_integer(v) || json_is_boolean(v);
}

/* A string with the folder in front unless it is absolute. */
static json_t *path_in(const char *folder, const char *name)
{
    return folder[0] == '\0' || name[0] == '/' ? json_string(name)
                                               : json_sprintf("%s/%s", folder, name);
}

static int set_rule(const struct rule *r, const json_t *v, const char *folder, json_t *flat)
{
    if (r->kind == IGNORE) {
        return CLI_OK;
    }
    if (r->kind == VALUE ? !scalar(v) : !json_is_string(v)) {
        return wrong(r->key,
                     r->kind == VALUE ? "a single value is expected" : "a string is expected");
    }
    json_t *copy = r->kind == VALUE  ? json_deep_copy(v)
                   : r->kind == PATH ? path_in(folder, json_string_value(v))
                                     : json_string(json_string_value(v));
    return json_object_set_new(flat, r->flat, copy) == 0 ? CLI_OK : wrong(r->key, "out of memory");
}

static int set_mode(const json_t *v)
{
    const json_t *mode = json_is_object(v) ? json_object_get(v, "enum") : v;
    const char *text = json_string_value(mode);

    bool ecc = (text != NULL && strcmp(text, "none-ecc-secp256r1-sha256") == 0) ||
               (json_is_integer(mode) && json_integer_value(mode) == MANIFEST_MODE_ECC);
    return ecc ? CLI_OK : wrong("encryptionMode", "only none-ecc-secp256r1-sha256 is supported");
}

static int set_payload_format(const json_t *v, json_t *flat)
{
    const json_t *format = json_is_object(v) ? json_object_get(v, "enum") : v;
    const char *text = json_string_value(format);
    json_int_t n = json_integer_value(format);

    bool raw = n == 1 || (text != NULL && strcmp(text, "raw-binary") == 0);
    bool delta = n == 5 || (text != NULL && (strcmp(text, "bsdiff-stream") == 0 ||
                                             strcmp(text, "arm-patch-stream") == 0));
    if (!raw && !delta) {
        return wrong("payloadFormat", "raw-binary or bsdiff-stream is expected");
    }
    (void)json_object_set_new(flat, "payload-format",
                              json_string(raw ? "raw-binary" : "arm-patch-stream"));
    return CLI_OK;
}

static int set_certificates(const json_t *list, const char *folder, json_t *flat)
{
    const json_t *first = json_array_get(list, 0);
    const char *file = cli_text(first, "file"), *uri = cli_text(first, "uri");

    if (first == NULL) {
        return CLI_OK;
    }
    if (file[0] == '\0') {
        return wrong("certificates", "the first one needs a 'file' (nothing is downloaded)");
    }
    (void)json_object_set_new(flat, "cert", path_in(folder, file));
    (void)json_object_set_new(flat, "cert-uri", json_string(uri));
    return CLI_OK;
}

static int set_reference(const json_t *payload, const char *folder, json_t *flat)
{
    static const struct rule rules[] = {{"uri", "url", TEXT},
                                        {"file", "payload", PATH},
                                        {"hash", "payload-digest", TEXT},
                                        {"size", "payload-size", VALUE}};
    const json_t *ref = json_object_get(payload, "reference");
    const json_t *format = json_object_get(payload, "format");
    const json_t *storage = json_object_get(payload, "storageIdentifier");
    int rc = format == NULL ? CLI_OK : set_payload_format(format, flat);

    for (size_t i = 0; rc == CLI_OK && i < DR_ARRAY_LEN(rules); i++) {
        const json_t *v = json_object_get(ref, rules[i].key);
        rc = v == NULL ? CLI_OK : set_rule(&rules[i], v, folder, flat);
    }
    if (rc == CLI_OK && json_is_string(storage)) {
        (void)json_object_set_new(flat, "storage-id", json_string(json_string_value(storage)));
    }
    return rc;
}

static int set_period(const json_t *v, json_t *flat)
{
    const json_t *from = json_object_get(v, "validFrom"), *to = json_object_get(v, "validTo");

    if (!json_is_integer(from) || !json_is_integer(to)) {
        return wrong("applyPeriod", "validFrom and validTo are numbers");
    }
    fprintf(stderr, "drover: note: devices with the FOTA client refuse an applyPeriod\n");
    (void)json_object_set_new(flat, "valid-from", json_deep_copy(from));
    (void)json_object_set_new(flat, "valid-to", json_deep_copy(to));
    return CLI_OK;
}

/* Members that need more than a rule. *ret_known tells whether the key was one of them. */
static int set_special(const char *key, const json_t *v, const char *folder, json_t *flat,
                       bool *ret_known)
{
    *ret_known = true;
    if (strcmp(key, "encryptionMode") == 0) {
        return set_mode(v);
    }
    if (strcmp(key, "payloadFormat") == 0) {
        return set_payload_format(v, flat);
    }
    if (strcmp(key, "certificates") == 0 || strcmp(key, "default-certificates") == 0) {
        return set_certificates(v, folder, flat);
    }
    if (strcmp(key, "applyPeriod") == 0) {
        return set_period(v, flat);
    }
    if (strcmp(key, "payload") == 0) {
        return set_reference(v, folder, flat);
    }
    if (strcmp(key, "aliases") == 0 || strcmp(key, "dependencies") == 0) {
        return json_array_size(v) == 0 ? CLI_OK : wrong(key, "not written: devices refuse them");
    }
    *ret_known = strcmp(key, "resource") == 0;
    return CLI_OK;
}

static int flatten_1(const json_t *input, const char *folder, json_t *flat, bool nested)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)input, key, v)
    {
        bool known = false;
        int rc = set_special(key, v, folder, flat, &known);
        for (size_t i = 0; !known && i < DR_ARRAY_LEN(rules_1); i++) {
            if (strcmp(key, rules_1[i].key) == 0) {
                known = true;
                rc = set_rule(&rules_1[i], v, folder, flat);
            }
        }
        if (rc != CLI_OK) {
            return rc;
        }
        if (!known) {
            fprintf(stderr, "drover: note: input key '%s' is not known\n", key);
        }
    }
    const json_t *inner = json_object_get(
        json_object_get(json_object_get(input, "resource"), "resource"), "manifest");
    return !nested && json_is_object(inner) ? flatten_1(inner, folder, flat, true) : CLI_OK;
}

/* ---- 2.x ---- */

static const struct {
    const char *object; /* NULL = top level */
    struct rule rule;
} rules_2[] = {
    {"vendor", {"vendor-id", "vendor-id", TEXT}},
    {"vendor", {"domain", "domain", TEXT}},
    {"vendor", {"custom-data-path", "vendor-data", CWD}},
    {"device", {"class-id", "class-id", TEXT}},
    {"device", {"model-name", "model", TEXT}},
    {"payload", {"url", "url", TEXT}},
    {"payload", {"format", "payload-format", TEXT}},
    {"payload", {"file-path", "payload", CWD}},
    {NULL, {"priority", "priority", VALUE}},
    {NULL, {"component", "component", TEXT}},
    {NULL, {"sign-image", "sign-image", VALUE}},
    {NULL, {"signing-tool", "signing-tool", CWD}},
    {NULL, {"description", "description", TEXT}},
    /* what init leaves in dev.cfg.yaml */
    {NULL, {"vendor-id", "vendor-id", VALUE}},
    {NULL, {"class-id", "class-id", VALUE}},
    {NULL, {"key_file", "key", CWD}},
    {NULL, {"certificate", "cert", CWD}},
};

static int flatten_2(const json_t *input, json_t *flat)
{
    static const struct rule digest = {"encrypted.digest", "encrypted-digest", TEXT};
    static const struct rule size = {"encrypted.size", "encrypted-size", VALUE};
    int rc = CLI_OK;

    for (size_t i = 0; rc == CLI_OK && i < DR_ARRAY_LEN(rules_2); i++) {
        const json_t *from =
            rules_2[i].object == NULL ? input : json_object_get(input, rules_2[i].object);
        const json_t *v = json_object_get(from, rules_2[i].rule.key);
        rc = v == NULL ? CLI_OK : set_rule(&rules_2[i].rule, v, "", flat);
    }
    const json_t *encrypted = json_object_get(json_object_get(input, "payload"), "encrypted");
    const json_t *d = json_object_get(encrypted, "digest"), *n = json_object_get(encrypted, "size");
    if (rc == CLI_OK && d != NULL) {
        rc = set_rule(&digest, d, "", flat);
    }
    if (rc == CLI_OK && n != NULL) {
        rc = set_rule(&size, n, "", flat);
    }
    return rc;
}

int mt_flatten(const json_t *input, const char *folder, json_t *flat)
{
    bool two = json_is_object(json_object_get(input, "vendor")) ||
               json_is_object(json_object_get(input, "device")) ||
               json_object_get(input, "key_file") != NULL;

    if (!two) {
        if (json_object_get(flat, "format") == NULL) {
            (void)json_object_set_new(flat, "format", json_string("v1"));
        }
        return flatten_1(input, folder, flat, false);
    }
    (void)json_object_set_new(flat, "format", json_string("v3"));
    return flatten_2(input, flat);
}
