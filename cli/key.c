/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static bool print_key(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        printf("%-32s  %-8s  %s\n", cli_text(item, "id"), cli_text(item, "status"),
               cli_text(item, "name"));
    }
    return true;
}

static int key_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    return argc != 0 ? CLI_USAGE : cli_list(c, "/v3/api-keys", "", -1, print_key, c);
}

static int key_add(struct cli *c, int argc, char **argv)
{
    bool read_only = argc == 2 && strcmp(argv[1], "--read-only") == 0;
    struct cli_answer a;

    if (argc != 1 && !read_only) {
        return CLI_USAGE;
    }
    json_t *body =
        json_pack("{s:s, s:s}", "name", argv[0], "role", read_only ? "read-only" : "administrator");
    if (body == NULL) {
        return cli_fail(CLI_USAGE, "the name is not UTF-8");
    }
    cli_request(c, "POST", "/v3/api-keys", body, &a);
    int rc = cli_answer_check(&a);
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    } else if (rc == CLI_OK) {
        printf("%s\n", cli_text(a.json, "key"));
    }
    cli_answer_fini(&a);
    json_decref(body);
    return rc;
}

static int key_rm(struct cli *c, int argc, char **argv)
{
    return argc != 1 ? CLI_USAGE : cli_delete(c, "/v3/api-keys", argv[0]);
}

const struct cli_command cli_key_commands[] = {
    {"key", "ls", "", "list API keys", key_ls},
    {"key", "add", "NAME [--read-only]", "make an API key; it is shown once", key_add},
    {"key", "rm", "ID", "revoke an API key", key_rm},
    {0}};
