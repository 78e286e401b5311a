/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define FILE_MAX 65536

/* One request; prints the answer with --json, else nothing. The body is taken. */
static int ask(struct cli *c, const char *method, const char *path, json_t *body,
               struct cli_answer *ret)
{
    cli_request(c, method, path, body, ret);
    json_decref(body);
    int rc = cli_answer_check(ret);
    if (rc == CLI_OK && c->json && ret->json != NULL) {
        cli_print_json(c, ret->json);
    }
    return rc;
}

static int cert_developer(struct cli *c, int argc, char **argv)
{
    const char *file = argc == 3 && strcmp(argv[1], "-o") == 0 ? argv[2] : NULL;
    struct cli_answer a;

    if (argc != 1 && file == NULL) {
        return CLI_USAGE;
    }
    if (file != NULL && access(file, F_OK) == 0) {
        return cli_fail(CLI_FAILED, "'%s' is there already", file);
    }
    json_t *body = json_pack("{s:s}", "name", argv[0]);
    if (body == NULL) {
        return cli_fail(CLI_USAGE, "the name is not UTF-8");
    }
    cli_request(c, "POST", "/v3/developer-certificates", body, &a);
    json_decref(body);
    int rc = cli_answer_check(&a);
    if (rc == CLI_OK && file != NULL) {
        const char *text = cli_text(a.json, "security_file_content");
        struct dr_errinfo info = {0};
        if (dr_file_write(file, text, strlen(text), &info) != DR_OK) { /* mode 0600 */
            rc = cli_fail(CLI_FAILED, "%s: %s", file, info.text);
        }
        if (rc == CLI_OK) {
            printf("%s\n", cli_text(a.json, "id"));
        }
    } else if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    } else if (rc == CLI_OK) {
        fputs(cli_text(a.json, "security_file_content"), stdout);
    }
    cli_answer_fini(&a);
    return rc;
}

static int cert_trust(struct cli *c, int argc, char **argv)
{
    const char *name = NULL, *service = "bootstrap", *file = NULL;
    bool enroll = false;
    size_t len;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--name") == 0 && i + 1 < argc) {
            name = argv[++i];
        } else if (strcmp(argv[i], "--service") == 0 && i + 1 < argc) {
            service = argv[++i];
        } else if (strcmp(argv[i], "--enrollment") == 0) {
            enroll = true;
        } else if (file == NULL && argv[i][0] != '-') {
            file = argv[i];
        } else {
            return CLI_USAGE;
        }
    }
    if (file == NULL) {
        return CLI_USAGE;
    }
    char *text = cli_read_file(file, FILE_MAX, &len);
    if (text == NULL) {
        return CLI_FAILED;
    }
    const char *slash = strrchr(file, '/');
    json_t *body = json_pack("{s:s, s:s, s:s, s:b}", "name",
                             name != NULL    ? name
                             : slash != NULL ? slash + 1
                                             : file,
                             "service", service, "certificate", text, "enrollment_mode", enroll);
    free(text);
    if (body == NULL) {
        return cli_fail(CLI_USAGE, "name or certificate is not UTF-8");
    }
    struct cli_answer a;
    int rc = ask(c, "POST", "/v3/trusted-certificates", body, &a);
    if (rc == CLI_OK && !c->json) {
        printf("%s\n", cli_text(a.json, "id"));
    }
    cli_answer_fini(&a);
    return rc;
}

static bool print_trusted(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        bool developer = json_integer_value(json_object_get(item, "device_execution_mode")) == 1;
        printf("%s  %-9s  %-8s  %-9s  %s  %s\n", cli_text(item, "id"), cli_text(item, "service"),
               cli_text(item, "status"), developer ? "developer" : "trusted",
               cli_text(item, "certificate_fingerprint"), cli_text(item, "name"));
    }
    return true;
}

static int cert_ls(struct cli *c, int argc, char **argv)
{
    struct cli_answer a;
    size_t i;
    json_t *item;

    (void)argv;
    if (argc != 0) {
        return CLI_USAGE;
    }
    int rc = cli_list(c, "/v3/trusted-certificates", "", -1, print_trusted, c);
    if (rc != CLI_OK || c->json) {
        return rc;
    }
    cli_request(c, "GET", "/v3/drover/server-certificates", NULL, &a);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK) {
        json_array_foreach(json_object_get(a.json, "data"), i, item)
        {
            printf("%-16s  SHA-256 %s\n", cli_text(item, "name"), cli_text(item, "fingerprint"));
        }
    }
    cli_answer_fini(&a);
    return rc;
}

static int cert_rm(struct cli *c, int argc, char **argv)
{
    return argc != 1 ? CLI_USAGE : cli_delete(c, "/v3/trusted-certificates", argv[0]);
}

static int cert_revoke(struct cli *c, int argc, char **argv)
{
    bool endpoint = argc == 2 && strcmp(argv[0], "--endpoint") == 0;
    struct cli_answer a;
    json_t *body;
    size_t len;

    if (endpoint) {
        body = json_pack("{s:s}", "endpoint_name", argv[1]);
    } else if (argc == 1) {
        char *text = cli_read_file(argv[0], FILE_MAX, &len);
        if (text == NULL) {
            return CLI_FAILED;
        }
        body = json_pack("{s:s}", "certificate", text);
        free(text);
    } else {
        return CLI_USAGE;
    }
    if (body == NULL) {
        return cli_fail(CLI_USAGE, "the argument is not UTF-8");
    }
    int rc = ask(c, "POST", "/v3/drover/device-certificates/revoke", body, &a);
    if (rc == CLI_OK && !c->json) {
        printf("%lld of %s\n", json_integer_value(json_object_get(a.json, "revoked")),
               cli_text(a.json, "endpoint_name"));
    }
    cli_answer_fini(&a);
    return rc;
}

static int cert_renew(struct cli *c, int argc, char **argv)
{
    struct cli_answer a;

    (void)argv;
    if (argc != 0) {
        return CLI_USAGE;
    }
    int rc = ask(c, "POST", "/v3/drover/server-certificates/renew", json_object(), &a);
    cli_answer_fini(&a);
    return rc;
}

const struct cli_command cli_cert_commands[] = {
    {"cert", "developer", "NAME [-o FILE.c]",
     "make a developer certificate: the C file of a client", cert_developer},
    {"cert", "trust", "FILE.pem [--name N] [--service bootstrap|lwm2m] [--enrollment]",
     "trust an authority for this account's devices", cert_trust},
    {"cert", "ls", "", "list trusted certificates, and fingerprints of the server's own", cert_ls},
    {"cert", "rm", "ID", "trust it no more; its devices are cut off at once", cert_rm},
    {"cert", "revoke", "FILE.pem | --endpoint NAME", "revoke a device's certificate", cert_revoke},
    {"cert", "renew-server", "", "new keys for the server's own certificates", cert_renew},
    {0}};
