/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UPLOADS "/v3/device-enrollments-bulk-uploads"

static int enroll_add(struct cli *c, int argc, char **argv)
{
    struct cli_answer a;
    json_t *body = argc == 1 ? json_pack("{s:s}", "enrollment_identity", argv[0]) : NULL;

    if (body == NULL) {
        return CLI_USAGE;
    }
    cli_request(c, "POST", "/v3/device-enrollments", body, &a);
    json_decref(body);
    return cli_answer_made(c, &a);
}

static bool print_claim(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        const char *device = cli_text(item, "enrolled_device_id");
        printf("%s  %s  %s\n", cli_text(item, "id"), cli_text(item, "enrollment_identity"),
               device[0] == '\0' ? "-" : device);
    }
    return true;
}

static int enroll_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    return argc != 0 ? CLI_USAGE : cli_list(c, "/v3/device-enrollments", "", -1, print_claim, c);
}

static int enroll_rm(struct cli *c, int argc, char **argv)
{
    return argc != 1 ? CLI_USAGE : cli_delete(c, "/v3/device-enrollments", argv[0]);
}

/* Ask until the job is done, or the time of a request is over. */
static int wait_for_job(struct cli *c, const char *id, struct cli_answer *ret)
{
    const struct timespec nap = {.tv_nsec = 200000000};
    char path[128];

    (void)snprintf(path, sizeof path, UPLOADS "/%s", id);
    for (long i = 0; i <= c->timeout_s * 5; i++) {
        cli_request(c, "GET", path, NULL, ret);
        int rc = cli_answer_check(ret);
        if (rc != CLI_OK || strcmp(cli_text(ret->json, "status"), "completed") == 0) {
            return rc;
        }
        cli_answer_fini(ret);
        *ret = (struct cli_answer){0};
        (void)nanosleep(&nap, NULL);
    }
    return cli_fail(CLI_TIMEOUT, "the job %s is still under way", id);
}

int cli_enroll_import(struct cli *c, const char *file)
{
    const struct cli_part parts[] = {{.name = "enrollment_identities", .file = file}};
    struct cli_answer a, done = {0};

    cli_upload_form(c, UPLOADS, parts, 1, &a);
    int rc = cli_answer_check(&a);
    if (rc == CLI_OK) {
        rc = wait_for_job(c, cli_text(a.json, "id"), &done);
    }
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, done.json);
    } else if (rc == CLI_OK) {
        printf("%lld enrolments, %lld refused\n",
               json_integer_value(json_object_get(done.json, "total_count")),
               json_integer_value(json_object_get(done.json, "errors_count")));
    }
    if (rc == CLI_OK && json_integer_value(json_object_get(done.json, "errors_count")) != 0) {
        rc = CLI_FAILED;
    }
    cli_answer_fini(&done);
    cli_answer_fini(&a);
    return rc;
}

static int enroll_import(struct cli *c, int argc, char **argv)
{
    return argc != 1 ? CLI_USAGE : cli_enroll_import(c, argv[0]);
}

const struct cli_command cli_enroll_commands[] = {
    {"enroll", "add", "IDENTITY",
     "claim a device: A- and the SHA-256 of its certificate, as AA:BB:…", enroll_add},
    {"enroll", "ls", "", "list claims, and which devices have come", enroll_ls},
    {"enroll", "rm", "ID", "give a claim up", enroll_rm},
    {"enroll", "import", "FILE.csv", "claim many: the first column, the first line is a title",
     enroll_import},
    {0}};
