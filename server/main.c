/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/folder.h"
#include "server/run.h"

#define OPTIONS_MAX 64

/* Options of the command line, kept so that a reload sees them again. */
struct options {
    const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
    size_t count;
    const char *config_file;
    bool check_config;
};

static void usage(FILE *out)
{
    fputs("usage: droverd --data DIR [--config FILE] [--KEY VALUE]… [--check-config]\n"
          "       droverd init --data DIR [--json]\n"
          "       droverd check DIR\n"
          "       droverd restore FILE --data DIR\n"
          "       droverd --config-doc | --version | --help\n\n"
          "Every KEY of docs/configuration.md is an option, a line of FILE and a variable "
          "DROVER_KEY.\n"
          "Exit: 0 stopped, 1 failed, 2 configuration or usage, 3 data folder unusable, 4 address "
          "in use.\n",
          out);
}

static dr_err_t with_place(dr_err_t err, const char *place, struct dr_errinfo *reterr)
{
    if (err != DR_OK && reterr != NULL) {
        char text[sizeof reterr->text];
        (void)snprintf(text, sizeof text, "%.120s (%.60s)", reterr->text, place);
        memcpy(reterr->text, text, sizeof text);
    }
    return err;
}

static dr_err_t take_options(const struct options *o, struct srv_config *c,
                             struct dr_errinfo *reterr)
{
    dr_err_t err = DR_OK;

    for (size_t i = 0; i < o->count && err == DR_OK; i++) {
        err = srv_config_set(c, o->keys[i], o->values[i], reterr);
    }
    return with_place(err, "command line", reterr);
}

/* All sources, weakest first: defaults, file, environment, options. */
static dr_err_t gather(void *data, struct srv_config *ret, struct dr_errinfo *reterr)
{
    const struct options *o = data;
    char path[DR_PATH_MAX];
    struct srv_config early;
    const char *file = o->config_file;

    /* the data folder names the default file, and may itself come from the environment or an option
     */
    srv_config_init(&early);
    dr_err_t err = with_place(srv_config_environment(&early, reterr), "environment", reterr);
    if (err == DR_OK) {
        err = take_options(o, &early, reterr);
    }
    srv_config_init(ret);
    if (err == DR_OK && file == NULL && early.data[0] != '\0' &&
        dr_path_join(path, early.data, "drover.conf") == DR_OK && access(path, F_OK) == 0) {
        file = path;
    }
    if (err == DR_OK && file != NULL) {
        err = with_place(srv_config_file(ret, file, reterr), file, reterr);
    }
    if (err == DR_OK) {
        err = with_place(srv_config_environment(ret, reterr), "environment", reterr);
    }
    if (err == DR_OK) {
        err = take_options(o, ret, reterr);
    }
    return err == DR_OK ? srv_config_check(ret, reterr) : err;
}

static int fail_info(int code, const struct dr_errinfo *info)
{
    char place[32] = "";

    if (info->line > 0) {
        (void)snprintf(place, sizeof place, " line %ld", info->line);
    }
    return srv_fail(code, "%s%s%s%s", info->field, place, info->field[0] || place[0] ? ": " : "",
                    info->text);
}

/* "--key value" and "--key=value" for every key of the table. */
static int parse_serve(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        static char names[OPTIONS_MAX][64];
        const char *word = argv[i];
        if (strcmp(word, "--check-config") == 0) {
            o->check_config = true;
            continue;
        }
        size_t len = strcspn(word, "=");
        if (strncmp(word, "--", 2) != 0 || len < 3 || len >= sizeof names[0] ||
            o->count == OPTIONS_MAX) {
            return srv_fail(SRV_EXIT_USAGE, "'%s' is not an option; see droverd --help", word);
        }
        const char *value = word[len] == '=' ? word + len + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL) {
            return srv_fail(SRV_EXIT_USAGE, "%s needs a value", word);
        }
        if (len == strlen("--config") && strncmp(word, "--config", len) == 0) {
            o->config_file = value;
            continue;
        }
        (void)snprintf(names[o->count], sizeof names[0], "%.*s", (int)(len - 2), word + 2);
        if (!srv_config_has(names[o->count])) {
            return srv_fail(SRV_EXIT_USAGE, "'--%s' is not an option; see droverd --help",
                            names[o->count]);
        }
        o->keys[o->count] = names[o->count];
        o->values[o->count++] = value;
    }
    return SRV_EXIT_OK;
}

static int serve(int argc, char **argv)
{
    struct options options = {0};
    struct srv_config config;
    struct dr_errinfo info = {0};
    int rc = parse_serve(argc, argv, &options);

    if (rc != SRV_EXIT_OK) {
        return rc;
    }
    if (gather(&options, &config, &info) != DR_OK) {
        return fail_info(SRV_EXIT_USAGE, &info);
    }
    if (options.check_config) {
        srv_config_print(&config, stdout);
        return SRV_EXIT_OK;
    }
    dr_log_init();
    rc = srv_run(&config, gather, &options, &info);
    return rc == SRV_EXIT_OK ? rc : fail_info(rc, &info);
}

static int init_command(int argc, char **argv)
{
    static const struct option options[] = {
        {"data", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'}, {0}};
    const char *dir = NULL;
    bool json = false;
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'd') {
            dir = optarg;
        } else if (opt == 'j') {
            json = true;
        } else {
            return SRV_EXIT_USAGE;
        }
    }
    if (dir == NULL || optind != argc) {
        return srv_fail(SRV_EXIT_USAGE, "usage: droverd init --data DIR [--json]");
    }
    return srv_init(dir, json);
}

static int restore_command(int argc, char **argv)
{
    static const struct option options[] = {{"data", required_argument, NULL, 'd'}, {0}};
    const char *dir = NULL;
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt != 'd') {
            return SRV_EXIT_USAGE;
        }
        dir = optarg;
    }
    if (dir == NULL || optind + 1 != argc) {
        return srv_fail(SRV_EXIT_USAGE, "usage: droverd restore FILE --data DIR");
    }
    return srv_restore(argv[optind], dir);
}

/* Keys of devices are in memory: no core file unless a debugger asks. */
static void no_core_dumps(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
}

static void raise_descriptors(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    no_core_dumps();
    raise_descriptors();
    if (argc > 1 && strcmp(argv[1], "init") == 0) {
        return init_command(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "check") == 0) {
        return argc == 3 ? srv_check(argv[2])
                         : srv_fail(SRV_EXIT_USAGE, "usage: droverd check DIR");
    }
    if (argc > 1 && strcmp(argv[1], "restore") == 0) {
        return restore_command(argc - 1, argv + 1);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("droverd " PACKAGE_VERSION);
        return SRV_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--config-doc") == 0) {
        srv_config_doc(stdout);
        return SRV_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return SRV_EXIT_OK;
    }
    return serve(argc, argv);
}
