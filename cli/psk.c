/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"

#define KEY_FILE_MAX    4096
#define LINE_MAX_       512
#define IMPORT_FILE_MAX (512UL * 1024 * 1024)

/* Strip white space at both ends, in place. */
static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r') {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static int psk_add(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {{"key-file", required_argument, NULL, 'k'}, {0}};
    const char *file = NULL;
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "", options, NULL)) != -1) {
        if (opt != 'k') {
            return CLI_USAGE;
        }
        file = optarg;
    }
    if (optind != argc || file == NULL) {
        return CLI_USAGE;
    }
    size_t len;
    char *text = cli_read_file(file, KEY_FILE_MAX, &len);
    if (text == NULL) {
        return CLI_FAILED;
    }
    json_t *body =
        json_pack("{s:s, s:s}", "endpoint_name", (argv - 1)[optind], "secret_hex", trim(text));
    int rc = body == NULL ? cli_fail(CLI_USAGE, "endpoint name or key is not UTF-8") : CLI_OK;
    if (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, "POST", "/v2/device-shared-keys", body, &a);
        rc = cli_answer_check(&a);
        cli_answer_fini(&a);
    }
    json_decref(body);
    explicit_bzero(text, len);
    free(text);
    return rc;
}

static int send_batch(struct cli *c, json_t *keys)
{
    int rc = CLI_OK;

    if (json_array_size(keys) > 0) {
        json_t *body = json_pack("{s:O}", "keys", keys);
        struct cli_answer a;
        cli_request(c, "POST", "/v3/drover/psk-imports", body, &a);
        rc = cli_answer_check(&a);
        cli_answer_fini(&a);
        json_decref(body);
        (void)json_array_clear(keys);
    }
    return rc;
}

/* One line "endpoint,identity,hexkey" as an object; NULL if it is not of this form. */
static json_t *import_line(char *line)
{
    char *identity = strchr(line, ',');
    char *key = identity == NULL ? NULL : strchr(identity + 1, ',');

    if (key == NULL || strchr(key + 1, ',') != NULL) {
        return NULL;
    }
    *identity++ = '\0';
    *key++ = '\0';
    return json_pack("{s:s, s:s, s:s}", "endpoint_name", trim(line), "identity", trim(identity),
                     "secret_hex", trim(key));
}

int cli_psk_import(struct cli *c, const char *file)
{
    FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    if (f == NULL) {
        return cli_fail(CLI_FAILED, "cannot read '%s'", file);
    }
    json_t *keys = json_array();
    char line[LINE_MAX_];
    unsigned long number = 0, taken = 0;
    int rc = CLI_OK;
    while (rc == CLI_OK && fgets(line, sizeof line, f) != NULL) {
        number++;
        if (*trim(line) == '\0' || *trim(line) == '#') {
            continue;
        }
        json_t *key = import_line(line);
        if (key == NULL || json_array_append_new(keys, key) != 0) {
            rc = cli_fail(CLI_USAGE,
                          "%s line %lu is not 'endpoint,identity,hexkey'; %lu keys were taken",
                          file, number, taken);
        } else if (json_array_size(keys) == CLI_IMPORT_BATCH_MAX) {
            rc = send_batch(c, keys);
            taken += rc == CLI_OK ? CLI_IMPORT_BATCH_MAX : 0;
        }
    }
    if (rc == CLI_OK) {
        size_t rest = json_array_size(keys);
        rc = send_batch(c, keys);
        taken += rc == CLI_OK ? rest : 0;
    }
    if (rc == CLI_OK) {
        printf("%lu keys imported\n", taken);
    }
    explicit_bzero(line, sizeof line);
    json_decref(keys);
    if (f != stdin) {
        (void)fclose(f);
    }
    return rc;
}

static int psk_import(struct cli *c, int argc, char **argv)
{
    return argc != 1 ? CLI_USAGE : cli_psk_import(c, argv[0]);
}

struct derive {
    const char *prefix, *master_file;
    uint64_t first, count;
};

static int derive_options(struct derive *d, int argc, char **argv)
{
    static const struct option options[] = {{"prefix", required_argument, NULL, 'p'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"master-file", required_argument, NULL, 'm'},
                                            {0}};
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "", options, NULL)) != -1) {
        if (opt == 'p') {
            d->prefix = optarg;
        } else if (opt == 'm') {
            d->master_file = optarg;
        } else if (opt == '?' || dr_parse_u64_max(optarg, strlen(optarg), 1000000000,
                                                  opt == 'f' ? &d->first : &d->count) != DR_OK) {
            return CLI_USAGE;
        }
    }
    return optind == argc + 1 && d->master_file != NULL && strlen(d->prefix) <= 48 ? CLI_OK
                                                                                   : CLI_USAGE;
}

/* Key of a device = first 16 bytes of HMAC-SHA256(master, endpoint name); identity = endpoint name.
 * Needs no server. */
static int psk_derive(struct cli *c, int argc, char **argv)
{
    struct derive d = {.prefix = "sim-", .count = 1};
    uint8_t master[64];
    size_t len, master_len = 0;

    (void)c;
    int rc = derive_options(&d, argc, argv);
    char *text = rc == CLI_OK ? cli_read_file(d.master_file, KEY_FILE_MAX, &len) : NULL;
    if (text == NULL) {
        return rc == CLI_OK ? CLI_FAILED : rc;
    }
    char *hex = trim(text);
    if (dr_hex_decode(hex, strlen(hex), master, sizeof master, &master_len) != DR_OK ||
        master_len < 16) {
        rc = cli_fail(CLI_USAGE, "'%s' does not hold a master key of 16 to 64 bytes in hex",
                      d.master_file);
    }
    for (uint64_t i = d.first; rc == CLI_OK && i < d.first + d.count; i++) {
        char name[80], key[DR_HEX_LEN(16) + 1];
        uint8_t mac[EVP_MAX_MD_SIZE];
        unsigned mac_len = 0;
        int n = snprintf(name, sizeof name, "%s%llu", d.prefix, (unsigned long long)i);
        if (HMAC(EVP_sha256(), master, (int)master_len, (const unsigned char *)name, (size_t)n, mac,
                 &mac_len) == NULL) {
            rc = cli_fail(CLI_FAILED, "HMAC failed");
            break;
        }
        dr_hex_encode(mac, 16, key);
        printf("%s,%s,%s\n", name, name, key);
    }
    explicit_bzero(master, sizeof master);
    explicit_bzero(text, len);
    free(text);
    return rc;
}

const struct cli_command cli_psk_commands[] = {
    {"psk", "add", "ENDPOINT --key-file F|-", "add the key of one device (hex)", psk_add},
    {"psk", "import", "FILE.csv", "add keys: lines of endpoint,identity,hexkey", psk_import},
    {"psk", "derive", "[--prefix P] [--first I] --count N --master-file F",
     "print keys derived from a master key, as CSV", psk_derive},
    {0}};
