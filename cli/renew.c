/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_MAX_ 512

static int cert_renew(struct cli *c, int argc, char **argv)
{
    char path[PATH_MAX_];
    struct cli_answer a;

    if (argc < 1 || argc > 2) {
        return CLI_USAGE;
    }
    char *device = cli_escape(argv[0]), *name = cli_escape(argc == 2 ? argv[1] : "LWM2M");
    int len =
        device == NULL || name == NULL
            ? PATH_MAX_
            : snprintf(path, sizeof path, "/v3/devices/%s/certificates/%s/renew", device, name);
    free(device);
    free(name);
    if (len >= PATH_MAX_) {
        return cli_fail(CLI_USAGE, "the name is too long");
    }
    cli_request(c, "POST", path, NULL, &a);
    return cli_answer_made(c, &a);
}

const struct cli_command cli_renew_commands[] = {
    {"cert", "renew", "DEVICE [NAME]", "let a device renew a certificate (LWM2M)", cert_renew},
    {0},
};
