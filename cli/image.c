/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware images and manifests on the server. */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/manifest.h"
#include "manifest/manifest.h"

#define IMAGES        "/v3/firmware-images"
#define JOBS          IMAGES "/upload-jobs"
#define MANIFESTS     "/v3/firmware-manifests"
/* Larger images go in chunks, each of which may be sent again. */
#define FORM_MAX      (32LL * 1024 * 1024)
#define CHUNK         (8UL * 1024 * 1024)
#define TRIES_MAX     5
#define PATH_TEXT_MAX 512
#define MANIFEST_MAX  (256UL * 1024)

struct add {
    const char *file, *name, *description;
};

static int add_parse(int argc, char **argv, struct add *o)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'}, {"description", required_argument, NULL, 'd'}, {0}};
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "n:d:", options, NULL)) != -1) {
        if (opt == 'n') {
            o->name = optarg;
        } else if (opt == 'd') {
            o->description = optarg;
        } else {
            return CLI_USAGE;
        }
    }
    if (optind != argc) {
        return CLI_USAGE;
    }
    o->file = argv[optind - 1];
    return CLI_OK;
}

static int form_add(struct cli *c, const char *path, const struct add *o)
{
    const struct cli_part parts[] = {{.name = "datafile", .file = o->file},
                                     {.name = "name", .text = o->name},
                                     {.name = "description", .text = o->description}};
    struct cli_answer a;

    cli_upload_form(c, path, parts, sizeof parts / sizeof parts[0], &a);
    return cli_answer_made(c, &a);
}

/* ---- in chunks ---- */

/* One chunk, again if its answer does not come: the server knows it by its place. */
static int chunk_put(struct cli *c, const char *path, const uint8_t *bytes, size_t len, off_t at)
{
    struct cli_answer a;
    int rc = CLI_FAILED;

    for (int i = 0; i < TRIES_MAX; i++) {
        if (i > 0) {
            (void)sleep(1U << (i - 1));
        }
        cli_upload_chunk(c, path, bytes, len, (uint64_t)at, &a);
        if (a.status != 0 && a.status != 503) {
            break;
        }
        if (i + 1 < TRIES_MAX) {
            cli_answer_fini(&a);
        }
    }
    rc = cli_answer_check(&a);
    cli_answer_fini(&a);
    return rc;
}

static int chunks_put(struct cli *c, const char *path, FILE *in)
{
    uint8_t *buf = malloc(CHUNK);
    off_t at = 0;
    size_t len = 1;
    int rc = buf == NULL ? cli_fail(CLI_FAILED, "out of memory") : CLI_OK;

    while (rc == CLI_OK && len != 0) { /* the one without bytes is the last */
        len = fread(buf, 1, CHUNK, in);
        if (ferror(in)) {
            rc = cli_fail(CLI_FAILED, "the file cannot be read");
        } else {
            rc = chunk_put(c, path, buf, len, at);
            at += (off_t)len;
        }
        if (rc == CLI_OK && !c->json && isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r%lld MiB", (long long)at >> 20);
        }
    }
    if (!c->json && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\n");
    }
    free(buf);
    return rc;
}

static int image_of_job(struct cli *c, const char *job)
{
    char path[PATH_TEXT_MAX];
    struct cli_answer a;

    (void)snprintf(path, sizeof path, JOBS "/%.64s", job);
    cli_request(c, "GET", path, NULL, &a);
    int rc = cli_answer_check(&a);
    if (rc == CLI_OK) {
        char image[PATH_TEXT_MAX];
        (void)snprintf(image, sizeof image, IMAGES "/%.64s", cli_text(a.json, "firmware_image_id"));
        struct cli_answer made;
        cli_request(c, "GET", image, NULL, &made);
        rc = cli_answer_made(c, &made);
    }
    cli_answer_fini(&a);
    return rc;
}

static int job_add(struct cli *c, const struct add *o)
{
    char path[PATH_TEXT_MAX], job[80];
    struct cli_answer a;
    FILE *in = fopen(o->file, "rb");
    json_t *body = json_pack("{s:s, s:s}", "name", o->name == NULL ? "" : o->name, "description",
                             o->description == NULL ? "" : o->description);

    if (in == NULL || body == NULL) {
        json_decref(body);
        return cli_fail(CLI_FAILED, "cannot read '%s'", o->file);
    }
    cli_request(c, "POST", JOBS, body, &a);
    json_decref(body);
    int rc = cli_answer_check(&a);
    (void)snprintf(job, sizeof job, "%.64s", cli_text(a.json, "id"));
    cli_answer_fini(&a);
    if (rc == CLI_OK) {
        (void)snprintf(path, sizeof path, JOBS "/%s/chunks", job);
        rc = chunks_put(c, path, in);
        rc = rc == CLI_OK ? image_of_job(c, job) : rc;
        (void)snprintf(path, sizeof path, JOBS "/%s", job);
        cli_request(c, "DELETE", path, NULL, &a); /* done with, or given up: the image stays */
        cli_answer_fini(&a);
    }
    (void)fclose(in);
    return rc;
}

static int image_add(struct cli *c, int argc, char **argv)
{
    struct add o = {.file = NULL};
    struct stat st;
    int rc = add_parse(argc, argv, &o);

    if (rc != CLI_OK) {
        return rc;
    }
    if (stat(o.file, &st) != 0 || !S_ISREG(st.st_mode)) {
        return cli_fail(CLI_FAILED, "cannot read '%s'", o.file);
    }
    return st.st_size > FORM_MAX ? job_add(c, &o) : form_add(c, IMAGES, &o);
}

/* ---- list, delete ---- */

static bool print_image(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        printf("%-32s  %10lld  %.16s  %s\n", cli_text(item, "id"),
               (long long)json_integer_value(json_object_get(item, "datafile_size")),
               cli_text(item, "datafile_checksum"), cli_text(item, "name"));
    }
    return true;
}

static int image_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 0) {
        return CLI_USAGE;
    }
    if (!c->json) {
        printf("%-32s  %10s  %-16s  %s\n", "ID", "BYTES", "SHA-256", "NAME");
    }
    return cli_list(c, IMAGES, "", -1, print_image, c);
}

static bool print_manifest(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        printf("%-32s  v%lld  %.16s  %s\n", cli_text(item, "id"),
               (long long)json_integer_value(json_object_get(item, "manifest_schema_version")),
               cli_text(item, "delivered_payload_digest"), cli_text(item, "name"));
    }
    return true;
}

static int manifest_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 0) {
        return CLI_USAGE;
    }
    if (!c->json) {
        printf("%-32s  %-2s  %-16s  %s\n", "ID", "", "PAYLOAD", "NAME");
    }
    return cli_list(c, MANIFESTS, "", -1, print_manifest, c);
}

static int delete_one(struct cli *c, const char *folder, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    struct cli_answer a;

    if (argc != 1) {
        return CLI_USAGE;
    }
    char *id = cli_escape(argv[0]);
    int n = id == NULL ? -1 : snprintf(path, sizeof path, "%s/%s", folder, id);
    free(id);
    if (n < 0 || (size_t)n >= sizeof path) {
        return cli_fail(CLI_USAGE, "the id is too long");
    }
    cli_request(c, "DELETE", path, NULL, &a);
    int rc = cli_answer_check(&a);
    cli_answer_fini(&a);
    return rc;
}

static int image_rm(struct cli *c, int argc, char **argv)
{
    return delete_one(c, IMAGES, argc, argv);
}

static int manifest_rm(struct cli *c, int argc, char **argv)
{
    return delete_one(c, MANIFESTS, argc, argv);
}

/* ---- manifests ---- */

/* What the server would say, before anything is sent. */
static int manifest_look(const char *file)
{
    static const struct manifest_means means = {.any_signer = true, .upload = true};
    struct manifest_verdict verdict;
    size_t len = 0;
    char *bytes = cli_read_file(file, MANIFEST_MAX, &len);

    if (bytes == NULL) {
        return CLI_FAILED;
    }
    manifest_check(dr_bytes_of((const uint8_t *)bytes, len), &means, &verdict, NULL);
    free(bytes);
    if (!verdict.accepted) {
        return cli_fail(CLI_FAILED, "no device can accept this manifest: %s: %s",
                        manifest_check_name(verdict.fault.check), verdict.fault.why);
    }
    if (verdict.note[0] != '\0') {
        fprintf(stderr, "drover: %s\n", verdict.note);
    }
    return CLI_OK;
}

static int manifest_upload(struct cli *c, int argc, char **argv)
{
    struct add o = {.file = NULL};
    int rc = add_parse(argc, argv, &o);

    if (rc == CLI_OK) {
        rc = manifest_look(o.file);
    }
    return rc == CLI_OK ? form_add(c, MANIFESTS, &o) : rc;
}

const struct cli_command cli_image_commands[] = {
    {"image", "add", "FILE [--name NAME] [--description TEXT]",
     "store firmware; large files go in chunks", image_add},
    {"image", "ls", "", "list firmware images", image_ls},
    {"image", "rm", "ID", "delete an image that no campaign needs", image_rm},
    {"manifest", "upload", "FILE [--name NAME] [--description TEXT]",
     "store a manifest on the server", manifest_upload},
    {"manifest", "ls", "", "list the manifests on the server", manifest_ls},
    {"manifest", "rm", "ID", "delete a manifest that no campaign needs", manifest_rm},
    {0}};
