/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  cli/cli.h
 * @brief What the commands of drover(1) share: options, exit codes, the REST client, output.
 *
 * Layer: cli.  Threads: one.  Memory: a process for one command; what it allocates it frees before
 * exit. Limits: CLI_*_MAX.  Security: API keys and device keys come from files, the environment or
 * standard input and never reach a message.  Spec: docs/cli.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/err.h"

/** Exit codes: a contract with scripts. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /**< refused by the server, or it cannot be reached */
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_DENIED = 4,
    CLI_TIMEOUT = 5,
};

/** Largest answer that is kept in memory. */
#define CLI_ANSWER_MAX       (64UL * 1024 * 1024)
/** Keys of one bulk import request. */
#define CLI_IMPORT_BATCH_MAX 5000

struct cli {
    const char *url;
    const char *api_key;
    bool json; /**< --json: machine output */
    long
        timeout_s; /**< of one request; for a device request also how long to wait for its result */
    void *curl;    /**< connection, kept between requests */
};

struct cli_command {
    const char *group, *name; /**< name "" when the group is the command */
    const char *usage;
    const char *help;
    int (*run)(struct cli *c, int argc,
               char **argv); /**< argv[0] is the first word behind the name */
};

extern const struct cli_command cli_bootstrap_commands[], cli_device_commands[], cli_psk_commands[],
    cli_key_commands[], cli_campaign_commands[], cli_system_commands[], cli_manifest_commands[],
    cli_client_image_commands[], cli_renew_commands[], cli_image_commands[], cli_cert_commands[],
    cli_enroll_commands[], cli_factory_commands[];

/** A REST answer. */
struct cli_answer {
    long status; /**< HTTP status, 0 = no answer */
    json_t *json;
    char *text; /**< the body as it came, NUL-terminated */
    size_t len;
    char error[256]; /**< why there is no answer */
};

/**
 * One request; @p body may be NULL. Never fails silently: see cli_answer_check.
 * @param path  begins with '/', escaped already
 */
void cli_request(struct cli *c, const char *method, const char *path, const json_t *body,
                 struct cli_answer *ret);
void cli_answer_fini(struct cli_answer *a);
/** CLI_OK for 2xx; otherwise says on standard error what went wrong and returns the exit code for
 * it. */
int cli_answer_check(const struct cli_answer *a);
/** Of something that was made: cli_answer_check(), print its id (all of it with --json), and free
 * the answer. */
int cli_answer_made(const struct cli *c, struct cli_answer *a);
/** One part of a form: a file, or a text (NULL = the part is left out). */
struct cli_part {
    const char *name, *file, *text;
};
/** POST a form; without a limit on its time while bytes move. */
void cli_upload_form(struct cli *c, const char *path, const struct cli_part *parts, size_t n,
                     struct cli_answer *ret);
/** POST bytes as the part of a whole that begins at @p at, with their digest. */
void cli_upload_chunk(struct cli *c, const char *path, const void *bytes, size_t len, uint64_t at,
                      struct cli_answer *ret);
/** DELETE @p prefix/@p id, which is escaped here. */
int cli_delete(struct cli *c, const char *prefix, const char *id);
/** GET into a file (made with mode 0600, removed again on failure). */
int cli_download(struct cli *c, const char *path, const char *file);

/** Keys of a CSV file ("-" = standard input) to the server; says how many. */
int cli_psk_import(struct cli *c, const char *file);
/** Claims of a CSV file to the server; waits for the result, CLI_FAILED when some were refused. */
int cli_enroll_import(struct cli *c, const char *file);
/** Message on standard error; returns @p code, so that a command can end with it. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Print a JSON value: one line with --json, else pretty. */
void cli_print_json(const struct cli *c, const json_t *value);
/** A percent-escaped copy for a path or query; free it. NULL when out of memory. */
char *cli_escape(const char *text);
/** Text of a member, "" if it is absent or no string. */
const char *cli_text(const json_t *object, const char *key);
/** Read all of a file ("-" = standard input), at most @p max bytes; NUL-terminated; free it. NULL:
 * said why. */
char *cli_read_file(const char *name, size_t max, size_t *ret_len);
/** Walk all pages of a list; @p each gets every item until it returns false. */
int cli_list(struct cli *c, const char *path, const char *query, long limit,
             bool (*each)(void *data, const json_t *item), void *data);
