/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/core/device.h"
#include "client/core/its.h"
#include "client/core/slot.h"
#include "client/hal.h"
#include "client/ports/posix/board.h"
#include "client/ports/posix/firmware.h"
#include "client/ports/posix/flash.h"
#include "client/ports/posix/options.h"

#define MEASURE_MS 1000
#define CONSOLE_MS 100

static struct options options;
static struct cl_client client;
static struct cl_device device;
static struct cl_layout layout;
static struct cl_kvs store;
static volatile sig_atomic_t asked_to_stop;

static void on_signal(int signum)
{
    (void)signum;
    asked_to_stop = 1;
}

/*
 * The id as the server's REST interface writes it. A Drover server puts the number alone, up to 16
 * hex digits, into a plain LwM2M location: its last five are the low bits, before them the time.
 */
static void device_id_print(const char *id)
{
    size_t n = strlen(id);

    if (n > 5 && n <= 16 && strspn(id, "0123456789abcdef") == n) {
        printf("%0*d%.*s%015d%s\n", (int)(17 - n), 0, (int)(n - 5), id, 0, id + n - 5);
    } else {
        printf("%s\n", id);
    }
}

static void on_registered(struct cl_client *cl, const char *device_id)
{
    (void)cl;
    printf("Client registered\nDevice Id: ");
    device_id_print(device_id);
    fflush(stdout);
}

static void on_state(struct cl_client *cl, enum cl_state state)
{
    (void)cl;
    firmware_state(state);
}

static void on_trouble(struct cl_client *cl, const char *line)
{
    (void)cl;
    hal_log(line);
}

static bool store_open(void)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/flash.bin", options.data);

    if (mkdir(options.data, 0700) != 0 && errno != EEXIST) {
        perror(options.data);
        return false;
    }
    if (n < 0 || (size_t)n >= sizeof path ||
        flash_open(path, cl_layout_need(options.slot_size, FLASH_SECTOR)) == NULL) {
        return false;
    }
    if (options.cut_at != 0) {
        flash_fault(options.cut_at);
    }
    if (cl_layout_init(options.slot_size, &layout) != CL_OK ||
        cl_kvs_open(&store, layout.store_base, layout.store_area) != CL_OK) {
        fprintf(stderr,
                "drover-client: the flash cannot be used: is --slot-size a multiple of %d?\n",
                FLASH_SECTOR);
        return false;
    }
    cl_its_mount(&store);
    return firmware_boot(&options, &layout);
}

static const char *text_or(const char *text, const char *other)
{
    return text[0] != '\0' ? text : other;
}

static cl_err_t device_start(void)
{
    const struct credentials *c = &options.credentials;

    device.manufacturer = text_or(c->manufacturer, "Drover");
    device.model = text_or(c->model, "reference client");
    device.serial = text_or(c->serial, "0");
    device.type = text_or(c->type, "posix");
    device.hardware = text_or(c->hardware, "1");
    device.firmware = firmware_version();
    device.memory_kb = c->memory_kb;
    return cl_device_init(&device, &client);
}

static cl_err_t client_start(void)
{
    bool pelion = options.form != NULL ? strcmp(options.form, "pelion") == 0
                                       : options.credentials_file != NULL && options.server == NULL;
    struct cl_config config = {
        .lifetime_s = options.lifetime_s, .records = options.records, .pelion = pelion};
    struct cl_hooks hooks = {.state = on_state, .registered = on_registered, .trouble = on_trouble};

    snprintf(config.endpoint, sizeof config.endpoint, "%s", options.endpoint);
    config.type = config.pelion ? "default" : NULL;
    cl_err_t err = cl_init(&client, &config, &hooks, &store);
    if (err == CL_OK) {
        err = firmware_start(&client, &store);
    }
    if (err == CL_OK) {
        err = device_start();
    }
    if (err != CL_OK) {
        return err;
    }
    if (options.server != NULL) {
        client.accounts.account[CL_SERVER] = options.account;
        client.accounts.server.there = true;
    } else {
        client.accounts.account[CL_BOOTSTRAPPER] = options.account;
    }
    cl_wipe(&options.account, sizeof options.account);
    return cl_start(&client);
}

static void status_print(void)
{
    static const char *const names[] = {
        [CL_IDLE] = "idle",
        [CL_WAITING] = "waiting",
        [CL_CONNECTING] = "connecting",
        [CL_BOOTSTRAPPING] = "bootstrapping",
        [CL_REGISTERING] = "registering",
        [CL_REGISTERED] = "registered",
        [CL_LEAVING] = "leaving",
        [CL_STOPPED] = "stopped",
    };
    printf("%s, endpoint %s, device id %s\n", names[client.state], client.config.endpoint,
           text_or(client.device_id, "-"));
}

static void command_run(const char *line)
{
    if (strcmp(line, "status") == 0) {
        status_print();
    } else if (strcmp(line, "update") == 0) {
        cl_update(&client);
    } else if (strcmp(line, "bootstrap") == 0) {
        cl_rebootstrap(&client);
    } else if (strcmp(line, "reboot") == 0) {
        cl_reboot(&client);
    } else if (strcmp(line, "accept") == 0 || strcmp(line, "refuse") == 0) {
        if (!firmware_answer(line[0] == 'a')) {
            printf("nothing waits for that\n");
        }
    } else if (strcmp(line, "quit") == 0) {
        asked_to_stop = 1;
    } else if (line[0] != '\0') {
        printf("commands: status, update, bootstrap, reboot, accept, refuse, quit\n");
    }
    fflush(stdout);
}

/* What is there on standard input, line by line; its end stops nothing. */
static void console_poll(void)
{
    static char line[80];
    static size_t len;
    char c;

    while (read(STDIN_FILENO, &c, 1) == 1) {
        if (c == '\n') {
            line[len] = '\0';
            len = 0;
            command_run(line);
        } else if (len + 1 < sizeof line) {
            line[len++] = c;
        }
    }
}

static void loop(void)
{
    uint64_t measure_ms = 0;
    bool stopping = false;

    while (client.state != CL_STOPPED) {
        uint64_t now_ms = hal_time_ms();
        if (asked_to_stop && !stopping) {
            stopping = true;
            cl_stop(&client);
        }
        if (now_ms >= measure_ms) {
            measure_ms = now_ms + MEASURE_MS;
            cl_device_measure(&device);
        }
        if (options.console) {
            console_poll();
        }
        uint64_t next_ms = cl_step(&client, now_ms);
        uint64_t last_ms = options.console ? now_ms + CONSOLE_MS : measure_ms;
        uint64_t download_ms = firmware_poll(now_ms);
        last_ms = last_ms < download_ms ? last_ms : download_ms;
        next_ms = next_ms < last_ms ? next_ms : last_ms;
        now_ms = hal_time_ms();
        if (client.state != CL_STOPPED && next_ms > now_ms) {
            hal_idle((uint32_t)(next_ms - now_ms));
        }
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};

    board_init(argv);
    switch (options_parse(argc, argv, &options)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    if (options.console) {
        (void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    }
    if (!store_open()) {
        return 1;
    }
    if (firmware_is_deaf()) {
        firmware_wait();
    }
    cl_err_t err = client_start();
    if (err != CL_OK) {
        fprintf(stderr, "drover-client: cannot start (%d)\n", err);
        return 1;
    }
    loop();
    cl_fini(&client);
    return 0;
}
