/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device-sim/options.h"
#include "tests/unit/run.h"

#define ARGS_MAX 16

static char key_file[] = "/tmp/drover-sim-key-XXXXXX";
static char message[4096]; /* what the last parse() said */

static void begin(void)
{
    memcpy(key_file + sizeof key_file - 7, "XXXXXX", 6); /* the name again, for the next case */
    int fd = mkstemp(key_file);
    static const char text[] = "000102030405060708090a0b0c0d0e0f\n";

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof text - 1), (int)(sizeof text - 1));
    (void)close(fd);
}

static void end(void)
{
    (void)unlink(key_file);
}

/* Words divided by blanks; KEY stands for the key file. */
static dr_err_t parse(const char *line, struct sim_options *ret)
{
    char *words = strdup(line), *argv[ARGS_MAX] = {(char *)"drover-sim"}, *save = NULL;
    int argc = 1;

    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        ck_assert_int_lt(argc, ARGS_MAX - 1);
        argv[argc++] = strcmp(w, "KEY") == 0 ? key_file : w;
    }
    FILE *said = tmpfile();
    int err_fd = dup(STDERR_FILENO), out_fd = dup(STDOUT_FILENO);
    ck_assert_ptr_nonnull(said);
    (void)fflush(stdout);
    (void)dup2(fileno(said), STDERR_FILENO);
    (void)dup2(fileno(said), STDOUT_FILENO);
    dr_err_t err = sim_options_parse(argc, argv, ret);
    (void)fflush(stdout);
    (void)dup2(err_fd, STDERR_FILENO);
    (void)dup2(out_fd, STDOUT_FILENO);
    (void)close(err_fd);
    (void)close(out_fd);
    rewind(said);
    size_t n = fread(message, 1, sizeof message - 1, said);
    message[n] = '\0';
    (void)fclose(said);
    static char *kept[64]; /* options borrow from argv */
    static unsigned n_kept;
    free(kept[n_kept % 64]);
    kept[n_kept++ % 64] = words;
    return err;
}

#define PLAIN "--server coap://127.0.0.1:5683 --devices 10 "

START_TEST(defaults_are_those_of_the_manual)
{
    struct sim_options o;

    ck_assert_int_eq(parse(PLAIN, &o), DR_OK);
    ck_assert_str_eq(message, "");
    ck_assert(!o.secure && !o.libcoap && !o.json && !o.queue_mode && o.confirmable);
    ck_assert_uint_eq(o.devices, 10);
    ck_assert_uint_eq(o.first, 0);
    ck_assert_str_eq(o.prefix, "sim-");
    ck_assert_int_eq(o.scenario, SIM_IDLE);
    ck_assert_uint_eq(o.window, 64);
    ck_assert_uint_eq(o.lifetime_s, 300);
    ck_assert_uint_eq(o.source_net, 0x7f010001);
    ck_assert_uint_eq(ntohs(o.server.in4.sin_port), 5683);
    ck_assert_uint_eq(ntohl(o.server.in4.sin_addr.s_addr), 0x7f000001);
    ck_assert(o.rate == 0 && o.loss == 0 && o.duplicate == 0 && o.reorder == 0);
}
END_TEST

START_TEST(every_option_is_taken)
{
    struct sim_options o;

    ck_assert_int_eq(parse("--server coaps://10.1.2.3:1 --devices 5 --psk-master-file KEY "
                           "--prefix p --first 3 --scenario churn --rate 1.5",
                           &o),
                     DR_OK);
    ck_assert(o.secure);
    ck_assert_uint_eq(o.master_len, 16);
    ck_assert_uint_eq(o.master[15], 15);
    ck_assert_str_eq(o.prefix, "p");
    ck_assert_uint_eq(o.first, 3);
    ck_assert_int_eq(o.scenario, SIM_CHURN);
    ck_assert(o.rate == 1.5);
    ck_assert_int_eq(parse(PLAIN "--window 7 --duration 2 --lifetime 9 --seed 5 --json", &o),
                     DR_OK);
    ck_assert_uint_eq(o.window, 7);
    ck_assert(o.duration_s == 2);
    ck_assert_uint_eq(o.lifetime_s, 9);
    ck_assert_uint_eq(o.seed, 5);
    ck_assert(o.json);
    ck_assert_int_eq(parse(PLAIN "--loss 0.1 --dup 0.2 --reorder 0.3 --reboot-rate 0.4", &o),
                     DR_OK);
    ck_assert(o.loss == 0.1 && o.duplicate == 0.2 && o.reorder == 0.3 && o.reboot_rate == 0.4);
    ck_assert_int_eq(parse(PLAIN "--queue-mode --awake 5 --non --server-pid 77 --cid off", &o),
                     DR_OK);
    ck_assert(o.queue_mode && !o.confirmable);
    ck_assert_uint_eq(o.awake_s, 5);
    ck_assert_int_eq(o.server_pid, 77);
    ck_assert_int_eq(parse(PLAIN "--source-net 127.9.0.0/16 --rebind-every 3 --stack own", &o),
                     DR_OK);
    ck_assert_uint_eq(o.source_net, 0x7f090000);
    ck_assert(o.rebind_every_s == 3);
}
END_TEST

START_TEST(every_scenario_has_its_name)
{
    static const struct {
        const char *name;
        enum sim_scenario scenario;
    } names[] = {{"register", SIM_REGISTER}, {"update", SIM_UPDATES}, {"notify", SIM_NOTIFY},
                 {"request", SIM_REQUEST},   {"idle", SIM_IDLE},      {"churn", SIM_CHURN},
                 {"fota", SIM_FOTA}};

    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        char line[128];
        struct sim_options o;
        (void)snprintf(line, sizeof line, PLAIN "--scenario %s", names[i].name);
        ck_assert_int_eq(parse(line, &o), DR_OK);
        ck_assert_int_eq(o.scenario, names[i].scenario);
    }
}
END_TEST

START_TEST(devices_of_fota_have_objects_for_it)
{
    struct sim_options o;

    ck_assert_int_eq(parse(PLAIN "--scenario idle", &o), DR_OK);
    ck_assert_int_eq(o.model.update, SIM_UPDATE_NONE);
    ck_assert_int_eq(parse(PLAIN "--scenario fota", &o), DR_OK);
    ck_assert_int_eq(o.model.update, SIM_UPDATE_PELION);
    ck_assert(!o.model.has_ids && o.block == 1024);
    ck_assert_int_eq(parse(PLAIN "--scenario fota --update-object lwm2m --block 64", &o), DR_OK);
    ck_assert(o.model.update == SIM_UPDATE_OBJECT5 && o.block == 64);
    ck_assert_int_eq(parse(PLAIN "--update-object pelion --vendor-id "
                                 "00112233445566778899aabbccddeeff --class-id "
                                 "00112233-4455-6677-8899-aabbccddeefe",
                           &o),
                     DR_OK);
    ck_assert(o.model.update == SIM_UPDATE_PELION && o.model.has_ids);
    ck_assert(o.model.vendor[15] == 0xff && o.model.class_id[15] == 0xfe);
}
END_TEST

static const struct {
    const char *line;
    const char *says; /* part of the message */
} wrong[] = {
    {"", "--server is missing"},
    {PLAIN "--block 100", "--block"},
    {PLAIN "--block 2048", "--block"},
    {PLAIN "--fw-version 1", "--fw-version"},
    {PLAIN "--update-object 10252", "--update-object"},
    {PLAIN "--vendor-id 00112233445566778899aabbccddeeff", "go together"},
    {PLAIN "--vendor-id x", "--vendor-id"},
    {PLAIN "--fota-faults nothing", "--fota-faults"},
    {PLAIN "--fota-faults dead=1000000", "--fota-faults"},
    {PLAIN "--until-updated", "--scenario fota"},
    {PLAIN "--bootstrap-only", "--scenario register"},
    {PLAIN "--stack libcoap --bootstrap", "no --bootstrap"},
    {PLAIN "--fetch coap://x/y", "--scenario fota"},
    {"--devices 5", "--server is missing"},
    {"--server coap://127.0.0.1:5683", "--devices is missing"},
    {"--server coap://127.0.0.1 --devices 5", "--server"},
    {"--server coap://127.0.0.1:0 --devices 5", "--server"},
    {"--server coap://127.0.0.1:65536 --devices 5", "--server"},
    {"--server http://127.0.0.1:80 --devices 5", "--server"},
    {"--server coap://:80 --devices 5", "--server"},
    {"--server coap://[::1]:80 --devices 5", "not an IPv4 address"},
    {"--server coap://localhost:80 --devices 5", "not an IPv4 address"},
    {"--server coaps://127.0.0.1:5684 --devices 5", "--psk-master-file"},
    {PLAIN "--devices 0", "--devices"},
    {PLAIN "--devices x", "--devices"},
    {PLAIN "--devices -1", "--devices"},
    {PLAIN "--devices 16000001", "--devices"},
    {PLAIN "--first 1000000001", "--first"},
    {PLAIN "--prefix aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "--prefix"},
    {PLAIN "--window 0", "--window"},
    {PLAIN "--window 100001", "--window"},
    {PLAIN "--rate -1", "--rate"},
    {PLAIN "--rate nan", "--rate"},
    {PLAIN "--duration x", "--duration"},
    {PLAIN "--lifetime 0", "--lifetime"},
    {PLAIN "--scenario nothing", "--scenario"},
    {PLAIN "--loss 1.1", "--loss"},
    {PLAIN "--dup -0.1", "--dup"},
    {PLAIN "--reorder 2", "--reorder"},
    {PLAIN "--loss 0.5 --dup 0.6", "more than 1"},
    {PLAIN "--reboot-rate 2", "--reboot-rate"},
    {PLAIN "--rebind-every x", "--rebind-every"},
    {PLAIN "--seed -1", "--seed"},
    {PLAIN "--source-net 127.1", "--source-net"},
    {PLAIN "--source-net 127.255.255.250", "--source-net"},
    {PLAIN "--awake 0", "--awake"},
    {PLAIN "--server-pid 0", "--server-pid"},
    {PLAIN "--stack foreign", "--stack"},
    {PLAIN "--stack libcoap --loss 0.1", "libcoap"},
    {PLAIN "--stack libcoap --rebind-every 1", "libcoap"},
    {PLAIN "--stack libcoap --queue-mode", "libcoap"},
    {PLAIN "--stack libcoap --devices 2001", "libcoap"},
    {PLAIN "--cid on", "--cid"},
    {PLAIN "--cert a", "--cert and --key"},
    {PLAIN "--key a", "--cert and --key"},
    {PLAIN "--psk-master-file /nowhere", "/nowhere"},
    {PLAIN "--psk-master-file /dev/null", "/dev/null"},
    {PLAIN "--unknown", "--unknown"},
    {PLAIN "--rate", "--rate"},
    {PLAIN "more", "more"},
};

START_TEST(bad_input_is_refused_with_a_message)
{
    struct sim_options o = {.devices = 99};

    ck_assert_int_eq(parse(wrong[_i].line, &o), DR_ERR_INVAL);
    ck_assert_msg(strstr(message, wrong[_i].says) != NULL, "'%s' said: %s", wrong[_i].line,
                  message);
    ck_assert_uint_eq(o.devices, 99);
}
END_TEST

START_TEST(help_names_every_option)
{
    static const char *const names[] = {"--server",        "--devices",         "--prefix",
                                        "--first",         "--psk-master-file", "--cert",
                                        "--key",           "--scenario",        "--rate",
                                        "--window",        "--duration",        "--lifetime",
                                        "--stack",         "--rebind-every",    "--loss",
                                        "--dup",           "--reorder",         "--seed",
                                        "--json",          "--reboot-rate",     "--source-net",
                                        "--update-object", "--block",           "--fw-version",
                                        "--next-version",  "--vendor-id",       "--class-id",
                                        "--update-cert",   "--fota-faults",     "--fetch",
                                        "--until-updated", "--bootstrap",       "--bootstrap-only"};
    struct sim_options o;

    ck_assert_int_eq(parse("--help", &o), DR_ERR_AGAIN);
    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        ck_assert_msg(strstr(message, names[i]) != NULL, "%s", names[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("options");
    TCase *tc = add_case(s, "parse");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, defaults_are_those_of_the_manual);
    tcase_add_test(tc, every_option_is_taken);
    tcase_add_test(tc, devices_of_fota_have_objects_for_it);
    tcase_add_test(tc, every_scenario_has_its_name);
    tcase_add_loop_test(tc, bad_input_is_refused_with_a_message, 0, DR_ARRAY_LEN(wrong));
    tcase_add_test(tc, help_names_every_option);
    return run_suite(s);
}
