/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define POLICIES "/v3/drover/bootstrap-policies"

static bool print_policy(void *data, const json_t *item)
{
    const struct cli *c = data;
    const char *pattern = cli_text(item, "endpoint_pattern");
    const char *uri = cli_text(item, "server_uri");

    if (c->json) {
        cli_print_json(c, item);
    } else {
        printf("%-32s  %-8s  %-20s  %-5s  %8lld s  %s\n", cli_text(item, "id"),
               cli_text(item, "scope"), pattern[0] == '\0' ? "-" : pattern,
               cli_text(item, "security"),
               (long long)json_integer_value(json_object_get(item, "lifetime")),
               uri[0] == '\0' ? "(this server)" : uri);
    }
    return true;
}

static int bootstrap_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    return argc != 0 ? CLI_USAGE : cli_list(c, POLICIES, "", -1, print_policy, c);
}

/* Options of `set`: each is a member of the policy. */
static const struct {
    const char *option, *member;
    bool number;
} members[] = {
    {"name", "name", false},
    {"endpoint", "endpoint_pattern", false},
    {"scope", "scope", false},
    {"server", "server_uri", false},
    {"lifetime", "lifetime", true},
    {"binding", "binding", false},
    {"security", "security", false},
    {"short-id", "short_server_id", true},
    {"hold-off", "hold_off", true},
    {"min-period", "min_period", true},
    {"max-period", "max_period", true},
    {"reset", "reset", false},
};

static int objects_read(json_t *body, const char *file)
{
    size_t len;
    char *text = cli_read_file(file, 64 * 1024, &len);
    json_t *list = text == NULL ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    free(text);
    if (!json_is_array(list)) {
        json_decref(list);
        return cli_fail(CLI_USAGE, "'%s' holds no array of SenML records", file);
    }
    (void)json_object_set_new(body, "objects", list);
    return CLI_OK;
}

static int member_set(json_t *body, int i, const char *text)
{
    char *end;
    json_t *value = NULL;

    if (members[i].number) {
        long long v = strtoll(text, &end, 10);
        if (text[0] == '\0' || *end != '\0') {
            return cli_fail(CLI_USAGE, "--%s: '%s' is not a number", members[i].option, text);
        }
        value = json_integer(v);
    } else {
        value = json_string(text);
    }
    return value == NULL || json_object_set_new(body, members[i].member, value) != 0
               ? cli_fail(CLI_USAGE, "--%s: not UTF-8", members[i].option)
               : CLI_OK;
}

static int options_read(json_t *body, int argc, char **argv)
{
    enum { N = DR_ARRAY_LEN(members), VERIFY = N, NO_STORE, OBJECTS };
    struct option options[OBJECTS + 2] = {{0}};
    int rc = CLI_OK, opt;

    for (int i = 0; i < N; i++) {
        options[i] = (struct option){members[i].option, required_argument, NULL, 256 + i};
    }
    options[VERIFY] = (struct option){"verify", no_argument, NULL, 256 + VERIFY};
    options[NO_STORE] = (struct option){"no-store", no_argument, NULL, 256 + NO_STORE};
    options[OBJECTS] = (struct option){"objects", required_argument, NULL, 256 + OBJECTS};
    optind = 0;
    while (rc == CLI_OK && (opt = getopt_long(argc + 1, argv - 1, "", options, NULL)) != -1) {
        if (opt < 256) {
            return CLI_USAGE;
        }
        opt -= 256;
        if (opt == VERIFY) {
            (void)json_object_set_new(body, "verify", json_true());
        } else if (opt == NO_STORE) {
            (void)json_object_set_new(body, "store_notifications", json_false());
        } else {
            rc = opt == OBJECTS ? objects_read(body, optarg) : member_set(body, opt, optarg);
        }
    }
    return rc == CLI_OK && optind <= argc ? CLI_USAGE : rc;
}

static int bootstrap_set(struct cli *c, int argc, char **argv)
{
    json_t *body = json_object();
    struct cli_answer a;
    int rc = body == NULL ? cli_fail(CLI_FAILED, "out of memory") : options_read(body, argc, argv);

    if (rc == CLI_OK) {
        cli_request(c, "POST", POLICIES, body, &a);
        rc = cli_answer_made(c, &a);
    }
    json_decref(body);
    return rc;
}

static int with_id(struct cli *c, const char *method, const char *before, const char *id,
                   const char *after, struct cli_answer *ret)
{
    char path[512];
    char *escaped = cli_escape(id);
    int n = escaped == NULL ? -1 : snprintf(path, sizeof path, "%s/%s%s", before, escaped, after);

    free(escaped);
    if (n < 0 || (size_t)n >= sizeof path) {
        *ret = (struct cli_answer){0};
        return cli_fail(CLI_USAGE, "'%s' is not an id", id);
    }
    cli_request(c, method, path, NULL, ret);
    return cli_answer_check(ret);
}

static int bootstrap_rm(struct cli *c, int argc, char **argv)
{
    struct cli_answer a;

    if (argc != 1) {
        return CLI_USAGE;
    }
    int rc = with_id(c, "DELETE", POLICIES, argv[0], "", &a);
    cli_answer_fini(&a);
    return rc;
}

static int bootstrap_trigger(struct cli *c, int argc, char **argv)
{
    char after[80];
    struct cli_answer a;

    if (argc < 1 || argc > 2 || (argc == 2 && strspn(argv[1], "0123456789") != strlen(argv[1]))) {
        return CLI_USAGE;
    }
    (void)snprintf(after, sizeof after, "/bootstrap?server=%.5s&wait=%ld",
                   argc == 2 ? argv[1] : "0", c->timeout_s);
    int rc = with_id(c, "POST", "/v3/drover/devices", argv[0], after, &a);
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    }
    if (rc == CLI_OK && a.status == 202) {
        rc = cli_fail(CLI_TIMEOUT, "the device has not answered within %ld s; the request stays",
                      c->timeout_s);
    } else if (rc == CLI_OK) {
        int status = (int)json_integer_value(json_object_get(a.json, "status"));
        rc = status == 200
                 ? CLI_OK
                 : cli_fail(status == 404 ? CLI_NOT_FOUND : CLI_FAILED, "the device answered %d %s",
                            status, cli_text(a.json, "error"));
    }
    cli_answer_fini(&a);
    return rc;
}

const struct cli_command cli_bootstrap_commands[] = {
    {"bootstrap", "ls", "", "policies: what devices get when they bootstrap", bootstrap_ls},
    {"bootstrap", "set",
     "[--endpoint PATTERN] [--scope S] [--server URI] [--lifetime S] [--security K] "
     "[--objects FILE] …",
     "make or replace a policy", bootstrap_set},
    {"bootstrap", "rm", "ID", "remove a policy", bootstrap_rm},
    {"bootstrap", "trigger", "ID [SERVER]", "ask a registered device to bootstrap again",
     bootstrap_trigger},
    {0},
};
