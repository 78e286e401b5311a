/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/text.h"

static const struct cli_command *const groups[] = {
    cli_system_commands,       cli_device_commands,   cli_psk_commands,   cli_key_commands,
    cli_bootstrap_commands,    cli_campaign_commands, cli_image_commands, cli_manifest_commands,
    cli_client_image_commands, cli_renew_commands,    cli_cert_commands,  cli_enroll_commands,
    cli_factory_commands};

static void usage(FILE *out)
{
    fputs("usage: drover [--url URL] [--api-key KEY] [--json] [--timeout S] COMMAND …\n"
          "URL and KEY also come from DROVER_URL and DROVER_API_KEY.\n\n",
          out);
    for (size_t g = 0; g < DR_ARRAY_LEN(groups); g++) {
        for (const struct cli_command *cmd = groups[g]; cmd->group != NULL; cmd++) {
            char words[320];
            (void)snprintf(words, sizeof words, "%s%s%s %s", cmd->group, cmd->name[0] ? " " : "",
                           cmd->name, cmd->usage);
            fprintf(out, "  %-52s %s\n", words, cmd->help);
        }
    }
    fputs(
        "\nExit: 0 done, 1 refused or failed, 2 usage, 3 not found, 4 no permission, 5 timeout.\n",
        out);
}

static const struct cli_command *find(int argc, char **argv, int *ret_words)
{
    for (size_t g = 0; argc > 0 && g < DR_ARRAY_LEN(groups); g++) {
        for (const struct cli_command *cmd = groups[g]; cmd->group != NULL; cmd++) {
            bool two = cmd->name[0] != '\0';
            if (strcmp(argv[0], cmd->group) == 0 &&
                (!two || (argc > 1 && strcmp(argv[1], cmd->name) == 0))) {
                *ret_words = two ? 2 : 1;
                return cmd;
            }
        }
    }
    return NULL;
}

/* --json may stand anywhere; take it out of the words of the command. */
static int take_json(struct cli *c, int argc, char **argv)
{
    int kept = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            c->json = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    return kept;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},     {"api-key", required_argument, NULL, 'k'},
        {"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {0}};
    struct cli c = {
        .url = getenv("DROVER_URL"), .api_key = getenv("DROVER_API_KEY"), .timeout_s = 30};
    int opt;

    argc = take_json(&c, argc, argv);
    while ((opt = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        uint64_t n;
        if (opt == 'u') {
            c.url = optarg;
        } else if (opt == 'k') {
            c.api_key = optarg;
        } else if (opt == 't' && dr_parse_u64_max(optarg, strlen(optarg), 86400, &n) == DR_OK) {
            c.timeout_s = (long)n;
        } else if (opt == 'h') {
            usage(stdout);
            return CLI_OK;
        } else if (opt == 'V') {
            puts("drover " PACKAGE_VERSION);
            return CLI_OK;
        } else {
            usage(stderr);
            return CLI_USAGE;
        }
    }
    int words = 0;
    const struct cli_command *cmd = find(argc - optind, argv + optind, &words);
    if (cmd == NULL) {
        usage(stderr);
        return CLI_USAGE;
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int first = optind + words;
    int rc = cmd->run(&c, argc - first, argv + first);
    if (rc == CLI_USAGE) {
        fprintf(stderr, "usage: drover %s%s%s %s\n", cmd->group, cmd->name[0] ? " " : "", cmd->name,
                cmd->usage);
    }
    curl_easy_cleanup(c.curl);
    curl_global_cleanup();
    return rc;
}
