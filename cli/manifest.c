/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define KEYS_MAX       8
#define COMPONENTS_MAX 16

const struct cli_command cli_manifest_commands[] = {
    {"manifest", "init", "(--domain D|--vendor-id U) (--model M|--class-id U)",
     "make an update key, certificate and C file", mt_init},
    {"manifest", "create", "[-i INPUT] [-k KEY] -o FILE …", "create and sign a manifest",
     mt_create},
    {"manifest", "create-delta", "--old FILE --new FILE -o FILE", "create a delta payload",
     mt_create_delta},
    {"manifest", "apply-delta", "--old FILE --delta FILE -o FILE", "what a device makes of a delta",
     mt_apply_delta},
    {"manifest", "verify", "FILE (--cert CERT|--public-key KEY) …", "check as a device does",
     mt_verify},
    {"manifest", "parse", "FILE", "show the fields of a manifest", mt_parse},
    {"manifest", "public-key", "KEY -o FILE", "65-octet public key of a key or certificate",
     mt_public_key},
    {0}};

/* ---- files ---- */

int mt_hash_file(const char *name, uint8_t ret_digest[MANIFEST_DIGEST_LEN], uint64_t *ret_size)
{
    static uint8_t buf[64 * 1024];
    struct manifest_hash *hash = NULL;
    uint64_t size = 0;
    size_t n;

    FILE *f = fopen(name, "rb");
    if (f == NULL) {
        return cli_fail(CLI_FAILED, "cannot read '%s': %s", name, strerror(errno));
    }
    if (manifest_hash_new(&hash) != DR_OK) {
        (void)fclose(f);
        return cli_fail(CLI_FAILED, "out of memory");
    }
    while ((n = fread(buf, 1, sizeof buf, f)) > 0) {
        manifest_hash_add(hash, dr_bytes_of(buf, n));
        size += n;
    }
    bool good = ferror(f) == 0;
    (void)fclose(f);
    uint8_t digest[MANIFEST_DIGEST_LEN];
    manifest_hash_end(hash, digest);
    if (!good) {
        return cli_fail(CLI_FAILED, "cannot read '%s'", name);
    }
    memcpy(ret_digest, digest, sizeof digest);
    *ret_size = size;
    return CLI_OK;
}

static bool write_all(int fd, struct dr_bytes data)
{
    size_t done = 0;

    while (done < data.len) {
        ssize_t n = write(fd, data.p + done, data.len - done);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

int mt_write_file(const char *name, struct dr_bytes data, unsigned mode)
{
    char temp[MT_PATH_MAX];

    if (strcmp(name, "-") == 0) {
        return write_all(STDOUT_FILENO, data)
                   ? CLI_OK
                   : cli_fail(CLI_FAILED, "cannot write: %s", strerror(errno));
    }
    int n = snprintf(temp, sizeof temp, "%s.XXXXXX", name);
    int fd = n > 0 && (size_t)n < sizeof temp ? mkstemp(temp) : -1;
    if (fd < 0) {
        return cli_fail(CLI_FAILED, "cannot write '%s': %s", name, strerror(errno));
    }
    bool good = write_all(fd, data) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    good = close(fd) == 0 && good && rename(temp, name) == 0;
    if (!good) {
        int rc = cli_fail(CLI_FAILED, "cannot write '%s': %s", name, strerror(errno));
        (void)unlink(temp);
        return rc;
    }
    return CLI_OK;
}

static int load_key(const char *name, bool is_private, struct manifest_key **ret)
{
    struct dr_errinfo info = {0};
    size_t len = 0;

    char *text = cli_read_file(name, MANIFEST_KEY_FILE_MAX, &len);
    if (text == NULL) {
        return CLI_FAILED;
    }
    struct dr_bytes in = dr_bytes_of(text, len);
    dr_err_t err =
        is_private ? manifest_key_load(in, ret, &info) : manifest_key_load_public(in, ret, &info);
    dr_wipe(text, len);
    free(text);
    return err == DR_OK ? CLI_OK
                        : cli_fail(CLI_FAILED, "'%s': %s", name,
                                   info.text[0] != '\0' ? info.text : dr_err_str(err));
}

int mt_load_private(const char *name, struct manifest_key **ret)
{
    return load_key(name, true, ret);
}

int mt_load_public(const char *name, struct manifest_key **ret)
{
    return load_key(name, false, ret);
}

/* ---- verify ---- */

enum {
    OPT_CERT = 256,
    OPT_PUBLIC_KEY,
    OPT_VENDOR,
    OPT_CLASS,
    OPT_DEVICE,
    OPT_PAYLOAD,
    OPT_PRECURSOR,
    OPT_CURRENT,
    OPT_COMPONENT,
    OPT_VENDOR_DATA_MAX,
    OPT_URI_MAX,
    OPT_SIGNED_IMAGE,
    OPT_UPLOAD,
};

/* What the options of verify say. */
struct verify {
    struct manifest_means means;
    struct manifest_key *keys[KEYS_MAX]; /* owned */
    const char *components[COMPONENTS_MAX];
    uint8_t vendor[MANIFEST_ID_LEN], class_id[MANIFEST_ID_LEN], device[MANIFEST_ID_LEN];
    uint8_t payload[MANIFEST_DIGEST_LEN], precursor[MANIFEST_DIGEST_LEN];
    const char *current; /* its meaning depends on the format */
};

static int get_id(const char *text, uint8_t *buf, const uint8_t **ret)
{
    if (manifest_id_parse(dr_bytes_str(text), buf) != DR_OK) {
        return cli_fail(CLI_USAGE, "'%s' is not a UUID", text);
    }
    *ret = buf;
    return CLI_OK;
}

static int add_key(struct verify *v, const char *name)
{
    if (v->means.key_count == KEYS_MAX) {
        return cli_fail(CLI_USAGE, "more than %d keys", KEYS_MAX);
    }
    int rc = mt_load_public(name, &v->keys[v->means.key_count]);
    v->means.key_count += rc == CLI_OK ? 1 : 0;
    return rc;
}

static int get_limit(const char *text, size_t *ret)
{
    uint64_t n = 0;

    if (dr_parse_u64_max(text, strlen(text), MANIFEST_SIZE_MAX, &n) != DR_OK) {
        return cli_fail(CLI_USAGE, "'%s' is not a number of octets", text);
    }
    *ret = (size_t)n;
    return CLI_OK;
}

static int verify_option(struct verify *v, int opt, const char *arg)
{
    struct manifest_means *m = &v->means;
    uint64_t size = 0;
    int rc = CLI_OK;

    switch (opt) {
    case OPT_CERT:
    case OPT_PUBLIC_KEY:
        return add_key(v, arg);
    case OPT_VENDOR:
        return get_id(arg, v->vendor, &m->vendor);
    case OPT_CLASS:
        return get_id(arg, v->class_id, &m->class_id);
    case OPT_DEVICE:
        return get_id(arg, v->device, &m->device);
    case OPT_PAYLOAD:
        rc = mt_hash_file(arg, v->payload, &m->payload_size);
        m->payload = v->payload;
        return rc;
    case OPT_PRECURSOR:
        rc = mt_hash_file(arg, v->precursor, &size);
        m->precursor = v->precursor;
        return rc;
    case OPT_CURRENT:
        v->current = arg;
        return CLI_OK;
    case OPT_COMPONENT:
        if (m->component_count == COMPONENTS_MAX) {
            return cli_fail(CLI_USAGE, "more than %d components", COMPONENTS_MAX);
        }
        v->components[m->component_count++] = arg;
        return CLI_OK;
    case OPT_VENDOR_DATA_MAX:
        m->has_vendor_data_max = true;
        return get_limit(arg, &m->vendor_data_max);
    case OPT_URI_MAX:
        return get_limit(arg, &m->uri_max);
    case OPT_SIGNED_IMAGE:
        m->need_installed_signature = true;
        return CLI_OK;
    case OPT_UPLOAD:
        m->upload = true;
        return CLI_OK;
    default:
        return CLI_USAGE;
    }
}

static int verify_options(struct verify *v, int argc, char **argv, const char **ret_file)
{
    static const struct option options[] = {
        {"cert", required_argument, NULL, OPT_CERT},
        {"public-key", required_argument, NULL, OPT_PUBLIC_KEY},
        {"vendor", required_argument, NULL, OPT_VENDOR},
        {"class", required_argument, NULL, OPT_CLASS},
        {"device", required_argument, NULL, OPT_DEVICE},
        {"payload", required_argument, NULL, OPT_PAYLOAD},
        {"precursor", required_argument, NULL, OPT_PRECURSOR},
        {"current-version", required_argument, NULL, OPT_CURRENT},
        {"component", required_argument, NULL, OPT_COMPONENT},
        {"vendor-data-max", required_argument, NULL, OPT_VENDOR_DATA_MAX},
        {"uri-max", required_argument, NULL, OPT_URI_MAX},
        {"signed-image", no_argument, NULL, OPT_SIGNED_IMAGE},
        {"upload", no_argument, NULL, OPT_UPLOAD},
        {0}};
    int opt, rc = CLI_OK;

    optind = 0;
    while (rc == CLI_OK && (opt = getopt_long(argc + 1, argv - 1, "", options, NULL)) != -1) {
        rc = verify_option(v, opt, optarg);
    }
    if (rc == CLI_OK && optind != argc) {
        rc = CLI_USAGE;
    }
    if (rc == CLI_OK && v->means.key_count == 0) {
        rc = cli_fail(CLI_USAGE,
                      "nothing to verify the signature with: give --cert or --public-key");
    }
    *ret_file = rc == CLI_OK ? argv[argc - 1] : NULL;
    return rc;
}

/* The number that --current-version stands for in this format. */
static int set_current(struct verify *v, struct dr_bytes file)
{
    struct dr_bytes text = dr_bytes_str(v->current);
    enum manifest_format format;

    if (manifest_detect(file, &format, NULL) != DR_OK) {
        return CLI_OK; /* refused for that anyway */
    }
    bool good = format != MANIFEST_SUIT && manifest_version_parse(text, &v->means.current) == DR_OK;
    if (!good && format != MANIFEST_V3) {
        good = dr_parse_u64(v->current, text.len, &v->means.current) == DR_OK;
    }
    v->means.has_current = good;
    return good ? CLI_OK
                : cli_fail(CLI_USAGE, "'%s' is no version of a manifest of the format %s",
                           v->current, mt_format_name(format));
}

/* Names in a manifest may hold anything; a terminal sees no control characters. */
static void print_clean(const char *text)
{
    for (; *text != '\0'; text++) {
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    }
}

static int print_verdict(const struct cli *c, const struct manifest_verdict *v,
                         const struct manifest *m)
{
    char line[512] = "";

    if (v->accepted) {
        mt_summary(m, line, sizeof line);
    }
    if (c->json) {
        json_t *out = v->accepted
                          ? json_pack("{s:b, s:s, s:o}", "accepted", 1, "note", v->note, "manifest",
                                      mt_manifest_json(m))
                          : json_pack("{s:b, s:s, s:s, s:i}", "accepted", 0, "check",
                                      manifest_check_name(v->fault.check), "why", v->fault.why,
                                      "device_code", manifest_check_code(v->fault.check));
        cli_print_json(c, out);
        json_decref(out);
    } else if (v->accepted) {
        printf("accepted ");
        print_clean(line);
        printf("%s%s\n", v->note[0] != '\0' ? "; note: " : "", v->note);
    } else {
        printf("refused: %s: ", manifest_check_name(v->fault.check));
        print_clean(v->fault.why);
        putchar('\n');
    }
    return v->accepted ? CLI_OK : CLI_FAILED;
}

int mt_verify(struct cli *c, int argc, char **argv)
{
    struct verify v = {0};
    struct manifest_verdict verdict;
    struct manifest m = {0};
    const char *name = NULL;
    size_t len = 0;

    int rc = verify_options(&v, argc, argv, &name);
    char *text = rc == CLI_OK ? cli_read_file(name, MANIFEST_SIZE_MAX, &len) : NULL;
    if (rc == CLI_OK && text == NULL) {
        rc = CLI_FAILED;
    }
    if (rc == CLI_OK && v.current != NULL) {
        rc = set_current(&v, dr_bytes_of(text, len));
    }
    if (rc == CLI_OK) {
        v.means.keys = (const struct manifest_key *const *)v.keys;
        v.means.components = v.components;
        manifest_check(dr_bytes_of(text, len), &v.means, &verdict, &m);
        rc = print_verdict(c, &verdict, &m);
    }
    for (size_t i = 0; i < v.means.key_count; i++) {
        v.keys[i] = manifest_key_free(v.keys[i]);
    }
    free(text);
    return rc;
}

/* ---- parse ---- */

/* "a.b: value" lines of a JSON value. */
static void print_flat(const json_t *value, const char *path)
{
    char inner[256];
    const char *key;
    json_t *member;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            (void)snprintf(inner, sizeof inner, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
            print_flat(member, inner);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            (void)snprintf(inner, sizeof inner, "%s[%zu]", path, i);
            print_flat(member, inner);
        }
    } else { /* strings stay quoted: their control characters must not reach a terminal */
        printf("%s: ", path);
        (void)json_dumpf(value, stdout, JSON_ENCODE_ANY);
        putchar('\n');
    }
}

int mt_parse(struct cli *c, int argc, char **argv)
{
    struct manifest m;
    struct manifest_fault fault = {0};
    size_t len = 0;

    if (argc != 1) {
        return CLI_USAGE;
    }
    char *text = cli_read_file(argv[0], MANIFEST_SIZE_MAX, &len);
    if (text == NULL) {
        return CLI_FAILED;
    }
    dr_err_t err = manifest_parse(dr_bytes_of(text, len), &m, &fault);
    if (err != DR_OK) {
        free(text);
        return cli_fail(CLI_FAILED, "'%s': %s: %s", argv[0], manifest_check_name(fault.check),
                        fault.why);
    }
    json_t *out = mt_manifest_json(&m);
    if (c->json) {
        cli_print_json(c, out);
    } else {
        print_flat(out, "");
    }
    json_decref(out);
    free(text);
    return CLI_OK;
}

/* ---- public-key ---- */

int mt_public_key(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {0}};
    struct manifest_key *key = NULL;
    uint8_t point[MANIFEST_POINT_LEN];
    char hex[DR_HEX_LEN(MANIFEST_POINT_LEN) + 1];
    const char *output = NULL;
    struct dr_errinfo info = {0};
    size_t len = 0;
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "o:", options, NULL)) != -1) {
        if (opt != 'o') {
            return CLI_USAGE;
        }
        output = optarg;
    }
    if (optind != argc) {
        return CLI_USAGE;
    }
    const char *name = argv[argc - 1];
    char *text = cli_read_file(name, MANIFEST_KEY_FILE_MAX, &len);
    if (text == NULL) {
        return CLI_FAILED;
    }
    dr_err_t err = manifest_key_load(dr_bytes_of(text, len), &key, &info);
    if (err == DR_ERR_PROTO) {
        err = manifest_key_load_public(dr_bytes_of(text, len), &key, &info);
    }
    dr_wipe(text, len);
    free(text);
    if (err != DR_OK) {
        return cli_fail(CLI_FAILED, "'%s': %s", name, info.text);
    }
    manifest_key_point(key, point);
    (void)manifest_key_free(key);
    if (output != NULL) {
        return mt_write_file(output, dr_bytes_of(point, sizeof point), 0644);
    }
    dr_hex_encode(point, sizeof point, hex);
    (void)c;
    puts(hex);
    return CLI_OK;
}
