/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INIT_ARGS_MAX 16

/* The data folder is the server's: hand over to `droverd init`, beside this program or on the path.
 */
static int system_init(struct cli *c, int argc, char **argv)
{
    char self[PATH_MAX], program[PATH_MAX] = "droverd";
    char *args[INIT_ARGS_MAX + 4] = {program, (char *)"init"};
    int n = 2;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (argc > INIT_ARGS_MAX) {
        return CLI_USAGE;
    }
    for (int i = 0; i < argc; i++) {
        args[n++] = argv[i];
    }
    if (c->json) {
        args[n++] = (char *)"--json";
    }
    if (len > 0) {
        self[len] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL && (size_t)(slash - self) + sizeof "/droverd" <= sizeof program) {
            (void)snprintf(program, sizeof program, "%.*s/droverd", (int)(slash - self), self);
        }
        if (access(program, X_OK) == 0) {
            (void)execv(program, args);
        }
    }
    (void)snprintf(program, sizeof program, "droverd");
    (void)execvp(program, args);
    return cli_fail(CLI_FAILED, "cannot run droverd: %s", strerror(errno));
}

static int system_backup(struct cli *c, int argc, char **argv)
{
    bool keys = argc == 2 && strcmp(argv[1], "--with-keys") == 0;

    if (argc == 2 && strcmp(argv[0], "--with-keys") == 0) {
        keys = true;
        argv++;
    }
    if (argc != 1 && !keys) {
        return CLI_USAGE;
    }
    return cli_download(c, keys ? "/v3/drover/backup?keys=true" : "/v3/drover/backup", argv[0]);
}

const struct cli_command cli_system_commands[] = {
    {"init", "", "--data DIR", "make a data folder: database, keys, first API key", system_init},
    {"backup", "", "FILE [--with-keys]", "stream an online copy of the database", system_backup},
    {0}};
