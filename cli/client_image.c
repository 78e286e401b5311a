/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image file of the reference client, little endian: "DIM1" | 512 u32 | load address u32 |
 * length of the body u32 | version u32 (a << 20 | b << 10 | c) | security counter u32 | flags u32
 * (1 = may replace a higher version) | 0 u32 | SHA-256 of the body, 32 | key id, 8 | zeros up to
 * 448 | signature r || s over these 448 bytes | body.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/manifest.h"

#define HEADER_LEN     512
#define SIGNED_LEN     448
#define BODY_MAX       (64UL << 20)
#define FLAG_DOWNGRADE 1u

enum {
    AT_LENGTH = 12,
    AT_VERSION = 16,
    AT_COUNTER = 20,
    AT_FLAGS = 24,
    AT_DIGEST = 32,
    AT_KEY = 64
};

struct image {
    const char *key, *body, *output;
    uint64_t version; /* of manifests */
    uint32_t counter, flags;
};

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> 8 * i);
    }
}

/* The same numbers as in a manifest, in less room. */
static uint32_t pack_version(uint64_t v)
{
    return (uint32_t)(v >> 40 & 0x3ff) << 20 | (uint32_t)(v >> 16 & 0x3ff) << 10 |
           (uint32_t)(v & 0x3ff);
}

static dr_err_t header_make(const struct image *img, struct manifest_key *key, struct dr_bytes body,
                            uint8_t h[HEADER_LEN])
{
    const struct manifest_signer signer = manifest_key_signer(key);
    uint8_t point[MANIFEST_POINT_LEN], id[MANIFEST_DIGEST_LEN];

    memset(h, 0, HEADER_LEN);
    memcpy(h, "DIM1", 4);
    put32(h + 4, HEADER_LEN);
    put32(h + AT_LENGTH, (uint32_t)body.len);
    put32(h + AT_VERSION, pack_version(img->version));
    put32(h + AT_COUNTER, img->counter);
    put32(h + AT_FLAGS, img->flags);
    manifest_sha256(body, h + AT_DIGEST);
    manifest_key_point(key, point);
    manifest_sha256(dr_bytes_of(point, sizeof point), id);
    memcpy(h + AT_KEY, id, 8);
    return signer.sign(signer.data, dr_bytes_of(h, SIGNED_LEN), h + SIGNED_LEN);
}

static int make(const struct cli *c, const struct image *img)
{
    struct manifest_key *key = NULL;
    size_t len = 0;
    int rc = mt_load_private(img->key, &key);
    char *body = rc == CLI_OK ? cli_read_file(img->body, BODY_MAX, &len) : NULL;
    uint8_t *file = body != NULL ? malloc(HEADER_LEN + len) : NULL;

    if (rc == CLI_OK && body == NULL) {
        rc = CLI_FAILED; /* said why */
    } else if (rc == CLI_OK && len == 0) {
        rc = cli_fail(CLI_FAILED, "'%s' is empty", img->body);
    } else if (rc == CLI_OK && file == NULL) {
        rc = cli_fail(CLI_FAILED, "out of memory");
    } else if (rc == CLI_OK && header_make(img, key, dr_bytes_of(body, len), file) != DR_OK) {
        rc = cli_fail(CLI_FAILED, "cannot sign");
    }
    if (rc == CLI_OK) {
        memcpy(file + HEADER_LEN, body, len);
        rc = mt_write_file(img->output, dr_bytes_of(file, HEADER_LEN + len), 0644);
    }
    if (rc == CLI_OK && strcmp(img->output, "-") != 0) {
        uint8_t digest[MANIFEST_DIGEST_LEN];
        manifest_sha256(dr_bytes_of(file, HEADER_LEN + len), digest);
        json_t *out = json_pack("{s:s, s:I, s:o}", "file", img->output, "size",
                                (json_int_t)(HEADER_LEN + len), "sha256",
                                mt_hex(dr_bytes_of(digest, sizeof digest)));
        cli_print_json(c, out);
        json_decref(out);
    }
    free(file);
    free(body);
    (void)manifest_key_free(key);
    return rc;
}

static int create(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {{"version", required_argument, NULL, 'v'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"body", required_argument, NULL, 'b'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"counter", required_argument, NULL, 'n'},
                                            {"downgrade", no_argument, NULL, 'd'},
                                            {0}};
    struct image img = {0};
    uint64_t n = 0;
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "v:k:b:o:", options, NULL)) != -1) {
        if (opt == 'v') {
            if (manifest_version_parse(dr_bytes_str(optarg), &img.version) != DR_OK) {
                return cli_fail(CLI_USAGE, "--version is MAJOR.MINOR.SPLIT, each 0 to 999");
            }
        } else if (opt == 'k') {
            img.key = optarg;
        } else if (opt == 'b') {
            img.body = optarg;
        } else if (opt == 'o') {
            img.output = optarg;
        } else if (opt == 'n') {
            if (dr_parse_u64_max(optarg, strlen(optarg), UINT32_MAX, &n) != DR_OK) {
                return cli_fail(CLI_USAGE, "--counter is a number up to 4294967295");
            }
            img.counter = (uint32_t)n;
        } else if (opt == 'd') {
            img.flags |= FLAG_DOWNGRADE;
        } else {
            return CLI_USAGE;
        }
    }
    return optind == argc + 1 && img.key != NULL && img.body != NULL && img.output != NULL &&
                   img.version != 0
               ? make(c, &img)
               : CLI_USAGE;
}

const struct cli_command cli_client_image_commands[] = {{"client-image", "create",
                                                         "-v VERSION -k KEY -b BODY -o FILE …",
                                                         "sign an image for drover-client", create},
                                                        {0}};
