/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/replay.c
 * @brief main() of a fuzz target built without libFuzzer: feeds it every file of its corpus folder.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return -1;
    }
    size_t cap = (size_t)1 << 20;
    uint8_t *buf = malloc(cap);
    size_t len = buf == NULL ? 0 : fread(buf, 1, cap, f);
    fclose(f);
    /* an exact-size copy, so that a sanitizer sees one byte too many */
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    if (buf == NULL || exact == NULL) {
        free(buf);
        free(exact);
        return -1;
    }
    memcpy(exact, buf, len);
    free(buf);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (dir == NULL) {
        fprintf(stderr, "no corpus folder '%s'\n", argv[1]);
        return 1;
    }
    int count = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        if (e->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof path) {
            continue;
        }
        if (replay_file(path) != 0) {
            fprintf(stderr, "cannot replay '%s'\n", path);
            closedir(dir);
            return 1;
        }
        count++;
    }
    closedir(dir);
    printf("%d inputs replayed\n", count);
    return count == 0;
}
