/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define PATH_TEXT_MAX 512
#define WATCH_MS      1000

/* "/v3/update-campaigns/<id><middle><device><tail>" */
static int campaign_path(char *buf, const char *id, const char *middle, const char *device,
                         const char *tail)
{
    char *a = cli_escape(id), *b = cli_escape(device);
    int n = a == NULL || b == NULL
                ? -1
                : snprintf(buf, PATH_TEXT_MAX, "/v3/update-campaigns/%s%s%s%s", a, middle, b, tail);

    free(a);
    free(b);
    return n < 0 || n >= PATH_TEXT_MAX ? cli_fail(CLI_USAGE, "the id is too long") : CLI_OK;
}

static int post(struct cli *c, int argc, char **argv, const char *method, const char *tail)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : campaign_path(path, argv[0], tail, "", "");

    if (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, method, path, NULL, &a);
        rc = cli_answer_check(&a);
        cli_answer_fini(&a);
    }
    return rc;
}

static int campaign_start(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/start");
}

static int campaign_stop(struct cli *c, int argc, char **argv)
{
    bool hard = argc == 2 && strcmp(argv[1], "--hard") == 0;

    return post(c, hard ? 1 : argc, argv, "POST", hard ? "/stop?hard=true" : "/stop");
}

static int campaign_pause(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/hold");
}

static int campaign_resume(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/resume");
}

static int campaign_advance(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/advance");
}

static int campaign_retry(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "POST", "/retry");
}

static int campaign_rm(struct cli *c, int argc, char **argv)
{
    return post(c, argc, argv, "DELETE", "");
}

static bool print_campaign(void *data, const json_t *item)
{
    const struct cli *c = data;

    if (c->json) {
        cli_print_json(c, item);
    } else {
        printf("%-32s  %-9s  %-14s  %s\n", cli_text(item, "id"), cli_text(item, "phase"),
               cli_text(item, "state"), cli_text(item, "name"));
    }
    return true;
}

static int campaign_ls(struct cli *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 0) {
        return CLI_USAGE;
    }
    if (!c->json) {
        printf("%-32s  %-9s  %-14s  %s\n", "ID", "PHASE", "STATE", "NAME");
    }
    return cli_list(c, "/v3/update-campaigns", "", -1, print_campaign, c);
}

/* ---- create ---- */

/* "1,5,25,100": waves that grow to these shares of all, each behind a gate. */
static json_t *waves_parse(const char *text, double error)
{
    json_t *list = json_array();
    double before = 0;

    while (list != NULL && *text != '\0') {
        char *end;
        double to = strtod(text, &end);
        if (end == text || to <= before || to > 100 || (*end != ',' && *end != '\0')) {
            json_decref(list);
            return NULL;
        }
        json_t *wave = to < 100
                           ? json_pack("{s:f,s:f}", "percent", to - before, "error_percent", error)
                           : json_pack("{s:b,s:f}", "rest", 1, "error_percent", error);
        (void)json_array_append_new(list, wave);
        before = to;
        text = *end == ',' ? end + 1 : end;
    }
    return list;
}

struct create {
    const char *name, *filter, *manifest, *when, *waves;
    double error;
    uint64_t in_flight, rate;
    bool start;
};

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
    return dr_parse_u64_max(text, strlen(text), max, ret) == DR_OK;
}

static int create_parse(int argc, char **argv, struct create *o)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, 'n'},      {"filter", required_argument, NULL, 'f'},
        {"manifest", required_argument, NULL, 'm'},  {"when", required_argument, NULL, 'w'},
        {"waves", required_argument, NULL, 'W'},     {"max-failed", required_argument, NULL, 'e'},
        {"in-flight", required_argument, NULL, 'i'}, {"rate", required_argument, NULL, 'r'},
        {"start", no_argument, NULL, 's'},           {0}};
    int opt;
    char *end = NULL;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "+", options, NULL)) != -1) {
        switch (opt) {
        case 'n':
            o->name = optarg;
            break;
        case 'f':
            o->filter = optarg;
            break;
        case 'm':
            o->manifest = optarg;
            break;
        case 'w':
            o->when = optarg;
            break;
        case 'W':
            o->waves = optarg;
            break;
        case 's':
            o->start = true;
            break;
        case 'e':
            o->error = strtod(optarg, &end);
            if (end == optarg || *end != '\0' || o->error < 0 || o->error > 100) {
                return CLI_USAGE;
            }
            break;
        case 'i':
            if (!number(optarg, 100000, &o->in_flight)) {
                return CLI_USAGE;
            }
            break;
        case 'r':
            if (!number(optarg, 1000000, &o->rate)) {
                return CLI_USAGE;
            }
            break;
        default:
            return CLI_USAGE;
        }
    }
    return optind != argc + 1 || o->filter == NULL ? CLI_USAGE : CLI_OK;
}

static int campaign_create(struct cli *c, int argc, char **argv)
{
    struct create o = {.error = 10};
    int rc = create_parse(argc, argv, &o);

    if (rc != CLI_OK) {
        return rc;
    }
    json_t *body = json_pack("{s:s}", "device_filter", o.filter);
    json_t *waves = o.waves == NULL ? NULL : waves_parse(o.waves, o.error);
    if (o.waves != NULL && waves == NULL) {
        json_decref(body);
        return cli_fail(CLI_USAGE, "waves are growing shares in percent, as in 1,5,25,100");
    }
    if (waves != NULL) {
        (void)json_object_set_new(body, "x_waves", waves);
    }
    if (o.name != NULL) {
        (void)json_object_set_new(body, "name", json_string(o.name));
    }
    if (o.manifest != NULL) {
        (void)json_object_set_new(body, "root_manifest_id", json_string(o.manifest));
    }
    if (o.when != NULL) {
        (void)json_object_set_new(body, "when", json_string(o.when));
    }
    json_t *limits = json_object();
    if (o.in_flight != 0) {
        (void)json_object_set_new(limits, "max_in_flight", json_integer((json_int_t)o.in_flight));
    }
    if (o.rate != 0) {
        (void)json_object_set_new(limits, "rate_per_minute", json_integer((json_int_t)o.rate));
    }
    (void)json_object_set_new(body, "x_limits", limits);
    struct cli_answer a;
    cli_request(c, "POST", "/v3/update-campaigns", body, &a);
    json_decref(body);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK && o.start) {
        char *id = strdup(cli_text(a.json, "id"));
        char *words[] = {id, NULL};
        rc = id == NULL ? CLI_FAILED : campaign_start(c, 1, words);
        free(id);
    }
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    } else if (rc == CLI_OK) {
        printf("%s\n", cli_text(a.json, "id"));
    }
    cli_answer_fini(&a);
    return rc;
}

/* ---- watch, explain ---- */

static long long count(const json_t *progress, const char *key)
{
    return (long long)json_integer_value(json_object_get(progress, key));
}

/* A line when something changed, until the campaign has ended; exit 1 if devices failed. */
static int campaign_watch(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX], line[256], last[256] = "";
    int rc = argc != 1 ? CLI_USAGE : campaign_path(path, argv[0], "", "", "");

    while (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, "GET", path, NULL, &a);
        rc = cli_answer_check(&a);
        if (rc != CLI_OK) {
            cli_answer_fini(&a);
            break;
        }
        const json_t *p = json_object_get(a.json, "x_progress");
        const char *phase = cli_text(a.json, "phase"), *hold = cli_text(a.json, "x_hold_reason");
        long long failed = count(p, "failed");
        bool end = strcmp(phase, "stopped") == 0 || strcmp(phase, "archived") == 0;
        (void)snprintf(line, sizeof line,
                       "%s/%s  waiting %lld  under way %lld  away %lld  done %lld  failed %lld  "
                       "skipped %lld%s%.80s",
                       phase, cli_text(a.json, "state"), count(p, "waiting"), count(p, "in_flight"),
                       count(p, "away"), count(p, "succeeded"), failed, count(p, "skipped"),
                       hold[0] != '\0' ? "  held: " : "", hold);
        if (c->json && strcmp(line, last) != 0) {
            cli_print_json(c, a.json);
        } else if (!end && strcmp(line, last) != 0) {
            puts(line);
        }
        (void)fflush(stdout);
        memcpy(last, line, sizeof last);
        if (end) {
            if (!c->json) {
                printf("%s/%s  %s\n", phase, cli_text(a.json, "state"),
                       cli_text(a.json, "autostop_reason"));
            }
            cli_answer_fini(&a);
            /* the figures of a campaign that has ended are in its statistics */
            char tail[PATH_TEXT_MAX];
            rc = campaign_path(tail, argv[0], "/metrics", "", "");
            cli_request(c, "GET", tail, NULL, &a);
            rc = rc == CLI_OK ? cli_answer_check(&a) : rc;
            failed = rc == CLI_OK ? count(a.json, "failed_count") : 0;
            if (rc == CLI_OK && !c->json) {
                printf(
                    "%lld devices: %lld succeeded, %lld failed, %lld skipped, %lld not reached\n",
                    count(a.json, "total_count"), count(a.json, "success_count"), failed,
                    count(a.json, "skipped_count"), count(a.json, "pending_count"));
            }
            cli_answer_fini(&a);
            return rc == CLI_OK && failed != 0 ? CLI_FAILED : rc;
        }
        cli_answer_fini(&a);
        (void)usleep(WATCH_MS * 1000);
    }
    return rc;
}

static int campaign_explain(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 2 ? CLI_USAGE : campaign_path(path, argv[0], "/devices/", argv[1], "/explain");
    struct cli_answer a;

    if (rc != CLI_OK) {
        return rc;
    }
    cli_request(c, "GET", path, NULL, &a);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    } else if (rc == CLI_OK) {
        printf("%s\n", cli_text(a.json, "explanation"));
    }
    cli_answer_fini(&a);
    return rc;
}

const struct cli_command cli_campaign_commands[] = {
    {"campaign", "create",
     "--filter F [--manifest ID] [--name N] [--when T] [--waves 1,5,25,100] [--max-failed PCT] "
     "[--in-flight N] [--rate N] [--start]",
     "make a campaign", campaign_create},
    {"campaign", "start", "ID", "start it", campaign_start},
    {"campaign", "stop", "ID [--hard]", "stop it; --hard: also what is downloading", campaign_stop},
    {"campaign", "pause", "ID", "begin with no more devices", campaign_pause},
    {"campaign", "resume", "ID", "go on, also past a gate that has tripped", campaign_resume},
    {"campaign", "advance", "ID", "open the next wave now", campaign_advance},
    {"campaign", "retry", "ID", "try again what has failed", campaign_retry},
    {"campaign", "watch", "ID", "show its progress until it ends", campaign_watch},
    {"campaign", "explain", "CAMPAIGN DEVICE", "say why a device is not done", campaign_explain},
    {"campaign", "ls", "", "list campaigns", campaign_ls},
    {"campaign", "rm", "ID", "delete one that is a draft or has ended", campaign_rm},
    {0}};
