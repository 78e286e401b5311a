/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define THRESHOLD_STD 60 /* percent of the new image that a delta may have */
#define BLOCK_MIN     128
#define MARKER        "PELION/BSDIFF001"

struct delta_options {
    const char *old, *new_image, *output, *delta;
    uint64_t block, percent;
    bool any_size, need_marker;
};

static int delta_options(struct delta_options *o, int argc, char **argv)
{
    static const struct option options[] = {{"old", required_argument, NULL, 'c'},
                                            {"new", required_argument, NULL, 'n'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"delta", required_argument, NULL, 'd'},
                                            {"block-size", required_argument, NULL, 'b'},
                                            {"threshold", required_argument, NULL, 't'},
                                            {"skip-size-check", no_argument, NULL, 's'},
                                            {"require-marker", no_argument, NULL, 'm'},
                                            {0}};
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "c:n:o:d:b:t:", options, NULL)) != -1) {
        bool good = true;
        switch (opt) {
        case 'c':
            o->old = optarg;
            break;
        case 'n':
            o->new_image = optarg;
            break;
        case 'o':
            o->output = optarg;
            break;
        case 'd':
            o->delta = optarg;
            break;
        case 'b':
            good = dr_parse_u64_max(optarg, strlen(optarg), MANIFEST_DELTA_FRAME_MAX, &o->block) ==
                       DR_OK &&
                   o->block >= BLOCK_MIN;
            break;
        case 't':
            good = dr_parse_u64_max(optarg, strlen(optarg), 99, &o->percent) == DR_OK &&
                   o->percent >= 30;
            break;
        case 's':
            o->any_size = true;
            break;
        case 'm':
            o->need_marker = true;
            break;
        default:
            return CLI_USAGE;
        }
        if (!good) {
            return cli_fail(CLI_USAGE, "'%s' is out of range", optarg);
        }
    }
    return optind == argc + 1 && o->old != NULL && o->output != NULL ? CLI_OK : CLI_USAGE;
}

/* Devices with the FOTA client carry the container's name beside their patcher. */
static int check_marker(const struct delta_options *o, struct dr_bytes old)
{
    if (memmem(old.p, old.len, MARKER, strlen(MARKER)) != NULL) {
        return CLI_OK;
    }
    if (o->need_marker) {
        return cli_fail(CLI_FAILED, "'%s' does not contain '%s'", o->old, MARKER);
    }
    fprintf(stderr, "drover: note: '%s' does not contain '%s'; can its device apply deltas?\n",
            o->old, MARKER);
    return CLI_OK;
}

/* Base64 of the base64 text of a digest: what the upstream tools write and read. */
static void put_digest(struct dr_dynbuf *out, const char *key, struct dr_bytes image)
{
    uint8_t digest[MANIFEST_DIGEST_LEN];
    char once[DR_BASE64_LEN(MANIFEST_DIGEST_LEN) + 1];
    char twice[DR_BASE64_LEN(sizeof once) + 1];

    manifest_sha256(image, digest);
    size_t n = dr_base64_encode(digest, sizeof digest, once);
    (void)dr_base64_encode(once, n, twice);
    dr_dynbuf_printf(out, "%s: !!binary |\n  %s\n", key, twice);
}

/* The file beside the delta that create reads: the same name with the suffix .yaml. */
static int write_sidecar(const char *output, struct dr_bytes old, struct dr_bytes new_image)
{
    char name[MT_PATH_MAX];
    struct dr_dynbuf text;

    const char *slash = strrchr(output, '/'), *dot = strrchr(output, '.');
    size_t stem =
        dot != NULL && (slash == NULL || dot > slash + 1) ? (size_t)(dot - output) : strlen(output);
    int n = snprintf(name, sizeof name, "%.*s.yaml", (int)stem, output);
    if (n < 0 || (size_t)n >= sizeof name || strcmp(name, output) == 0) {
        return cli_fail(CLI_USAGE, "'%s' leaves no name for the .yaml file", output);
    }
    dr_dynbuf_init(&text, 4096);
    put_digest(&text, "installed-digest", new_image);
    dr_dynbuf_printf(&text, "installed-size: %zu\n", new_image.len);
    put_digest(&text, "precursor-digest", old);
    int rc = mt_write_file(name, dr_dynbuf_bytes(&text), 0644);
    dr_dynbuf_fini(&text);
    return rc;
}

static int make_delta(const struct cli *c, const struct delta_options *o, struct dr_bytes old,
                      struct dr_bytes new_image)
{
    struct dr_dynbuf patch, again;
    int rc = CLI_FAILED;

    dr_dynbuf_init(&patch, 2 * MANIFEST_DELTA_IMAGE_MAX);
    dr_dynbuf_init(&again, new_image.len);
    dr_err_t err = manifest_delta_create(old, new_image, (size_t)o->block, &patch);
    if (err == DR_OK) { /* what a device will make of it */
        err = manifest_delta_apply(old, dr_dynbuf_bytes(&patch), &again);
    }
    if (err == DR_OK && !dr_bytes_eq(dr_dynbuf_bytes(&again), new_image)) {
        err = DR_ERR_INTERNAL;
    }
    if (err != DR_OK) {
        rc = cli_fail(CLI_FAILED, "no delta: %s", dr_err_str(err));
    } else if (!o->any_size && patch.len * 100 >= new_image.len * o->percent) {
        rc = cli_fail(CLI_FAILED,
                      "the delta has %zu octets, not less than %" PRIu64
                      "%% of the new image (--threshold, --skip-size-check)",
                      patch.len, o->percent);
    } else {
        rc = mt_write_file(o->output, dr_dynbuf_bytes(&patch), 0644);
    }
    if (rc == CLI_OK) {
        rc = write_sidecar(o->output, old, new_image);
    }
    if (rc == CLI_OK && c->json) {
        printf("{\"delta_size\":%zu,\"installed_size\":%zu}\n", patch.len, new_image.len);
    } else if (rc == CLI_OK && strcmp(o->output, "-") != 0) {
        printf("%s: %zu octets for an image of %zu\n", o->output, patch.len, new_image.len);
    }
    dr_dynbuf_fini(&patch);
    dr_dynbuf_fini(&again);
    return rc;
}

int mt_create_delta(struct cli *c, int argc, char **argv)
{
    struct delta_options o = {.block = MANIFEST_DELTA_FRAME_STD, .percent = THRESHOLD_STD};
    size_t old_len = 0, new_len = 0;

    int rc = delta_options(&o, argc, argv);
    if (rc != CLI_OK || o.new_image == NULL || o.delta != NULL) {
        return CLI_USAGE;
    }
    char *old = cli_read_file(o.old, MANIFEST_DELTA_IMAGE_MAX, &old_len);
    char *new_image =
        old == NULL ? NULL : cli_read_file(o.new_image, MANIFEST_DELTA_IMAGE_MAX, &new_len);
    if (new_image == NULL) {
        rc = CLI_FAILED;
    } else {
        struct dr_bytes a = dr_bytes_of(old, old_len), b = dr_bytes_of(new_image, new_len);
        if (dr_bytes_eq(a, b)) {
            fprintf(stderr, "drover: note: both images are the same\n");
        }
        rc = check_marker(&o, a);
        if (rc == CLI_OK) {
            rc = make_delta(c, &o, a, b);
        }
    }
    free(old);
    free(new_image);
    return rc;
}

/* ---- apply: in pieces, as a device does ---- */

struct files {
    FILE *old, *out;
};

static dr_err_t read_old(void *data, uint64_t at, uint8_t *buf, size_t len)
{
    const struct files *f = data;

    return fseeko(f->old, (off_t)at, SEEK_SET) == 0 && fread(buf, 1, len, f->old) == len
               ? DR_OK
               : DR_ERR_IO;
}

static dr_err_t write_new(void *data, const uint8_t *buf, size_t len)
{
    const struct files *f = data;

    return fwrite(buf, 1, len, f->out) == len ? DR_OK : DR_ERR_IO;
}

static dr_err_t feed_file(struct manifest_delta *d, FILE *patch)
{
    static uint8_t buf[4096];
    dr_err_t err = DR_OK;
    size_t n;

    while (err == DR_OK && (n = fread(buf, 1, sizeof buf, patch)) > 0) {
        err = manifest_delta_feed(d, dr_bytes_of(buf, n));
    }
    if (err == DR_OK && ferror(patch) != 0) {
        err = DR_ERR_IO;
    }
    return err == DR_OK ? manifest_delta_finish(d) : err;
}

static dr_err_t apply_files(struct files *f, FILE *patch)
{
    struct manifest_delta_io io = {.read_old = read_old, .write_new = write_new, .data = f};
    struct manifest_delta *d = NULL;

    if (fseeko(f->old, 0, SEEK_END) != 0) {
        return DR_ERR_IO;
    }
    io.old_size = (uint64_t)ftello(f->old);
    dr_err_t err = manifest_delta_new(&io, MANIFEST_DELTA_IMAGE_MAX, 0, &d);
    if (err == DR_OK) {
        err = feed_file(d, patch);
    }
    (void)manifest_delta_free(d);
    return err;
}

int mt_apply_delta(struct cli *c, int argc, char **argv)
{
    struct delta_options o = {.block = MANIFEST_DELTA_FRAME_STD, .percent = THRESHOLD_STD};
    struct files f = {0};
    char temp[MT_PATH_MAX];
    dr_err_t err = DR_ERR_IO;

    (void)c;
    int rc = delta_options(&o, argc, argv);
    if (rc != CLI_OK || o.delta == NULL || o.new_image != NULL) {
        return CLI_USAGE;
    }
    int n = snprintf(temp, sizeof temp, "%s.XXXXXX", o.output);
    int fd = n > 0 && (size_t)n < sizeof temp ? mkstemp(temp) : -1;
    if (fd < 0) {
        return cli_fail(CLI_FAILED, "cannot write '%s': %s", o.output, strerror(errno));
    }
    f.out = fdopen(fd, "wb");
    f.old = fopen(o.old, "rb");
    FILE *patch = fopen(o.delta, "rb");
    if (f.out != NULL && f.old != NULL && patch != NULL) {
        err = apply_files(&f, patch);
    }
    bool closed = f.out != NULL && fclose(f.out) == 0;
    if (f.old != NULL) {
        (void)fclose(f.old);
    }
    if (patch != NULL) {
        (void)fclose(patch);
    }
    if (err != DR_OK || !closed || rename(temp, o.output) != 0) {
        (void)unlink(temp);
        return cli_fail(CLI_FAILED, "the delta cannot be applied: %s",
                        dr_err_str(err == DR_OK ? DR_ERR_IO : err));
    }
    return CLI_OK;
}
