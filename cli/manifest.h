/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  cli/manifest.h
 * @brief What the offline commands of `drover manifest` share.
 *
 * Layer: cli.  Threads: one.  Memory: a process for one command.  Limits: MT_*_MAX.
 * Security: private keys are read from their file, used and wiped; they reach no output.
 * Spec: docs/manifest-tool.md.
 */
#pragma once

#include "cli/cli.h"
#include "manifest/delta.h"
#include "manifest/manifest.h"

#define MT_INPUT_MAX (1UL << 20)
#define MT_PATH_MAX  4096

/** Settings that init leaves behind, in the two layouts of the upstream tools. */
#define MT_SETTINGS_1 ".manifest_tool.json"
#define MT_SETTINGS_2 ".manifest-dev-tool/dev.cfg.yaml"

int mt_init(struct cli *c, int argc, char **argv);
int mt_create(struct cli *c, int argc, char **argv);
int mt_create_delta(struct cli *c, int argc, char **argv);
int mt_apply_delta(struct cli *c, int argc, char **argv);
int mt_verify(struct cli *c, int argc, char **argv);
int mt_parse(struct cli *c, int argc, char **argv);
int mt_public_key(struct cli *c, int argc, char **argv);

/** SHA-256 and size of a file, read in pieces. CLI_FAILED: said why. */
int mt_hash_file(const char *name, uint8_t ret_digest[MANIFEST_DIGEST_LEN], uint64_t *ret_size);
/** Replace a file as a whole ("-" = standard output). @p mode of a new file. CLI_FAILED: said why.
 */
int mt_write_file(const char *name, struct dr_bytes data, unsigned mode);
/** A private key, or a public one of any form. CLI_FAILED: said why. */
int mt_load_private(const char *name, struct manifest_key **ret);
int mt_load_public(const char *name, struct manifest_key **ret);
/** A JSON string of lower-case hex. */
json_t *mt_hex(struct dr_bytes b);
/** A JSON string; octets that are no UTF-8 as hex. */
json_t *mt_string(struct dr_bytes b);
/** All fields of a manifest. */
json_t *mt_manifest_json(const struct manifest *m);
/** One line about an accepted manifest, without a line feed. */
void mt_summary(const struct manifest *m, char *buf, size_t cap);
const char *mt_format_name(enum manifest_format format);

/**
 * The block mappings of YAML that the tools' files use (nested mappings, plain and quoted scalars,
 * `!!binary |`), as a JSON object; or JSON when the text begins with '{'. Digits become integers,
 * true and false booleans, all else strings. NULL: said why.
 */
json_t *mt_load_config(const char *name);

/**
 * Flat settings (see docs/manifest-tool.md for the names) out of a 1.x or 2.x input file.
 * @param folder  what relative paths of a 1.x input are relative to ("" = current folder)
 * @param flat    updated
 */
int mt_flatten(const json_t *input, const char *folder, json_t *flat);

/** Ask an external program `TOOL sha256 KEY-ID IN OUT` for a signature and check it with the key.
 */
struct mt_signing_tool {
    const char *tool, *key_id;
    const struct manifest_key *public_key;
};
dr_err_t mt_sign_with_tool(void *data, struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN]);
