/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of the enabler and of device management, each version on record.
 * Rows: id, type, operations, multiple, mandatory, name, range, units.
 */
#include "lwm2m/model_priv.h"

#define R_ LWM2M_OP_R
#define W_ LWM2M_OP_W
#define E_ LWM2M_OP_E

static const struct lwm2m_res_def res_0_1_0[] = {
    {0, LWM2M_TYPE_STRING, 0, false, true, "LWM2M Server URI", "0-255 bytes", NULL},
    {1, LWM2M_TYPE_BOOL, 0, false, true, "Bootstrap-Server", NULL, NULL},
    {2, LWM2M_TYPE_INT, 0, false, true, "Security Mode", "0-4", NULL},
    {3, LWM2M_TYPE_OPAQUE, 0, false, true, "Public Key or Identity", NULL, NULL},
    {4, LWM2M_TYPE_OPAQUE, 0, false, true, "Server Public Key", NULL, NULL},
    {5, LWM2M_TYPE_OPAQUE, 0, false, true, "Secret Key", NULL, NULL},
    {6, LWM2M_TYPE_INT, 0, false, false, "SMS Security Mode", "0-255", NULL},
    {7, LWM2M_TYPE_OPAQUE, 0, false, false, "SMS Binding Key Parameters", "6 bytes", NULL},
    {8, LWM2M_TYPE_OPAQUE, 0, false, false, "SMS Binding Secret Key(s)", "16-32-48 bytes", NULL},
    {9, LWM2M_TYPE_STRING, 0, false, false, "LwM2M Server SMS Number", NULL, NULL},
    {10, LWM2M_TYPE_INT, 0, false, false, "Short Server ID", "1-65534", NULL},
    {11, LWM2M_TYPE_INT, 0, false, false, "Client Hold Off Time", NULL, "s"},
    {12, LWM2M_TYPE_INT, 0, false, false, "Bootstrap-Server Account Timeout", NULL, "s"},
};

static const struct lwm2m_res_def res_0_1_1[] = {
    {0, LWM2M_TYPE_STRING, 0, false, true, "LWM2M Server URI", "0..255 bytes", NULL},
    {1, LWM2M_TYPE_BOOL, 0, false, true, "Bootstrap-Server", NULL, NULL},
    {2, LWM2M_TYPE_INT, 0, false, true, "Security Mode", "0..4", NULL},
    {3, LWM2M_TYPE_OPAQUE, 0, false, true, "Public Key or Identity", NULL, NULL},
    {4, LWM2M_TYPE_OPAQUE, 0, false, true, "Server Public Key", NULL, NULL},
    {5, LWM2M_TYPE_OPAQUE, 0, false, true, "Secret Key", NULL, NULL},
    {6, LWM2M_TYPE_INT, 0, false, false, "SMS Security Mode", "0..255", NULL},
    {7, LWM2M_TYPE_OPAQUE, 0, false, false, "SMS Binding Key Parameters", "6", NULL},
    {8, LWM2M_TYPE_OPAQUE, 0, false, false, "SMS Binding Secret Key(s)", "16,32,48", NULL},
    {9, LWM2M_TYPE_STRING, 0, false, false, "LwM2M Server SMS Number", NULL, NULL},
    {10, LWM2M_TYPE_INT, 0, false, false, "Short Server ID", "1..65534", NULL},
    {11, LWM2M_TYPE_INT, 0, false, false, "Client Hold Off Time", NULL, "s"},
    {12, LWM2M_TYPE_INT, 0, false, false, "Bootstrap-Server Account Timeout", NULL, "s"},
    {13, LWM2M_TYPE_UINT, 0, false, false, "Matching Type", "0..3", "s"},
    {14, LWM2M_TYPE_STRING, 0, false, false, "SNI", NULL, NULL},
    {15, LWM2M_TYPE_UINT, 0, false, false, "Certificate Usage", "0..3", "s"},
    {16, LWM2M_TYPE_UINT, 0, true, false, "DTLS/TLS Ciphersuite", NULL, NULL},
    {17, LWM2M_TYPE_OBJLNK, 0, false, false, "OSCORE Security Mode", NULL, NULL},
};

static const struct lwm2m_res_def res_0_1_2[] = {
    {0, LWM2M_TYPE_STRING, 0, false, true, "LWM2M Server URI", "0..255", NULL},
    {1, LWM2M_TYPE_BOOL, 0, false, true, "Bootstrap-Server", NULL, NULL},
    {2, LWM2M_TYPE_INT, 0, false, true, "Security Mode", "0..4", NULL},
    {3, LWM2M_TYPE_OPAQUE, 0, false, true, "Public Key or Identity", NULL, NULL},
    {4, LWM2M_TYPE_OPAQUE, 0, false, true, "Server Public Key", NULL, NULL},
    {5, LWM2M_TYPE_OPAQUE, 0, false, true, "Secret Key", NULL, NULL},
    {6, LWM2M_TYPE_INT, 0, false, false, "SMS Security Mode", "0..255", NULL},
    {7, LWM2M_TYPE_OPAQUE, 0, false, false, "SMS Binding Key Parameters", "6", NULL},
    {8, LWM2M_TYPE_OPAQUE, 0, false, false, "SMS Binding Secret Key(s)", "16,32,48", NULL},
    {9, LWM2M_TYPE_STRING, 0, false, false, "LwM2M Server SMS Number", NULL, NULL},
    {10, LWM2M_TYPE_INT, 0, false, false, "Short Server ID", "1..65534", NULL},
    {11, LWM2M_TYPE_INT, 0, false, false, "Client Hold Off Time", NULL, "s"},
    {12, LWM2M_TYPE_INT, 0, false, false, "Bootstrap-Server Account Timeout", NULL, "s"},
    {13, LWM2M_TYPE_UINT, 0, false, false, "Matching Type", "0..3", NULL},
    {14, LWM2M_TYPE_STRING, 0, false, false, "SNI", NULL, NULL},
    {15, LWM2M_TYPE_UINT, 0, false, false, "Certificate Usage", "0..3", NULL},
    {16, LWM2M_TYPE_UINT, 0, true, false, "DTLS/TLS Ciphersuite", NULL, NULL},
    {17, LWM2M_TYPE_OBJLNK, 0, false, false, "OSCORE Security Mode", NULL, NULL},
    {18, LWM2M_TYPE_UINT, 0, true, false, "Groups To Use by Client", "0..65535", NULL},
    {19, LWM2M_TYPE_UINT, 0, true, false, "Signature Algorithms Supported by Server", "0..65535",
     NULL},
    {20, LWM2M_TYPE_UINT, 0, true, false, "Signature Algorithms To Use by Client", "0..65535",
     NULL},
    {21, LWM2M_TYPE_UINT, 0, true, false, "Signature Algorithm Certs Supported by Server",
     "0..65535", NULL},
    {22, LWM2M_TYPE_UINT, 0, false, false, "TLS 1.3 Features To Use by Client", "0..65535", NULL},
    {23, LWM2M_TYPE_UINT, 0, false, false, "TLS Extensions Supported by Server", "0..65535", NULL},
    {24, LWM2M_TYPE_UINT, 0, false, false, "TLS Extensions To Use by Client", "0..65535", NULL},
    {25, LWM2M_TYPE_STRING, 0, true, false, "Secondary LwM2M Server URI", "0..255", NULL},
    {26, LWM2M_TYPE_OBJLNK, 0, false, false, "MQTT Server", NULL, NULL},
    {27, LWM2M_TYPE_OBJLNK, 0, true, false, "LwM2M COSE Security", NULL, NULL},
    {28, LWM2M_TYPE_INT, 0, false, false, "RDS Destination Port", "0..15", NULL},
    {29, LWM2M_TYPE_INT, 0, false, false, "RDS Source Port", "0..15", NULL},
    {30, LWM2M_TYPE_STRING, 0, false, false, "RDS Application ID", NULL, NULL},
};

static const struct lwm2m_res_def res_1_1_0[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Short Server ID", "1-65535", NULL},
    {1, LWM2M_TYPE_INT, R_ | W_, false, true, "Lifetime", NULL, "s"},
    {2, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Minimum Period", NULL, "s"},
    {3, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Maximum Period", NULL, "s"},
    {4, LWM2M_TYPE_NONE, E_, false, false, "Disable", NULL, NULL},
    {5, LWM2M_TYPE_INT, R_ | W_, false, false, "Disable Timeout", NULL, "s"},
    {6, LWM2M_TYPE_BOOL, R_ | W_, false, true, "Notification Storing When Disabled or Offline",
     NULL, NULL},
    {7, LWM2M_TYPE_STRING, R_ | W_, false, true, "Binding",
     "The possible values of Resource are listed in 5.3.1.1", NULL},
    {8, LWM2M_TYPE_NONE, E_, false, true, "Registration Update Trigger", NULL, NULL},
};

static const struct lwm2m_res_def res_1_1_1[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Short Server ID", "1..65534", NULL},
    {1, LWM2M_TYPE_INT, R_ | W_, false, true, "Lifetime", NULL, "s"},
    {2, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Minimum Period", NULL, "s"},
    {3, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Maximum Period", NULL, "s"},
    {4, LWM2M_TYPE_NONE, E_, false, false, "Disable", NULL, NULL},
    {5, LWM2M_TYPE_INT, R_ | W_, false, false, "Disable Timeout", NULL, "s"},
    {6, LWM2M_TYPE_BOOL, R_ | W_, false, true, "Notification Storing When Disabled or Offline",
     NULL, NULL},
    {7, LWM2M_TYPE_STRING, R_ | W_, false, true, "Binding",
     "The possible values are those listed in the LwM2M Core Specification", NULL},
    {8, LWM2M_TYPE_NONE, E_, false, true, "Registration Update Trigger", NULL, NULL},
    {9, LWM2M_TYPE_NONE, E_, false, false, "Bootstrap-Request Trigger", NULL, NULL},
    {10, LWM2M_TYPE_OBJLNK, R_ | W_, false, false, "APN Link", NULL, NULL},
    {11, LWM2M_TYPE_UINT, R_, false, false, "TLS-DTLS Alert Code", "0..255", NULL},
    {12, LWM2M_TYPE_TIME, R_, false, false, "Last Bootstrapped", NULL, NULL},
    {13, LWM2M_TYPE_UINT, 0, false, false, "Registration Priority Order", NULL, NULL},
    {14, LWM2M_TYPE_UINT, 0, false, false, "Initial Registration Delay Timer", NULL, "s"},
    {15, LWM2M_TYPE_BOOL, 0, false, false, "Registration Failure Block", NULL, NULL},
    {16, LWM2M_TYPE_BOOL, 0, false, false, "Bootstrap on Registration Failure", NULL, NULL},
    {17, LWM2M_TYPE_UINT, 0, false, false, "Communication Retry Count", NULL, NULL},
    {18, LWM2M_TYPE_UINT, 0, false, false, "Communication Retry Timer", NULL, "s"},
    {19, LWM2M_TYPE_UINT, 0, false, false, "Communication Sequence Delay Timer", NULL, NULL},
    {20, LWM2M_TYPE_UINT, 0, false, false, "Communication Sequence Retry Count", NULL, NULL},
    {21, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Trigger", NULL, NULL},
    {22, LWM2M_TYPE_STRING, R_ | W_, false, false, "Preferred Transport",
     "The possible values are those listed in the LwM2M Core Specification", NULL},
    {23, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Mute Send", NULL, NULL},
};

static const struct lwm2m_res_def res_1_1_2[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Short Server ID", "1..65534", NULL},
    {1, LWM2M_TYPE_INT, R_ | W_, false, true, "Lifetime", NULL, "s"},
    {2, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Minimum Period", NULL, "s"},
    {3, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Maximum Period", NULL, "s"},
    {4, LWM2M_TYPE_NONE, E_, false, false, "Disable", NULL, NULL},
    {5, LWM2M_TYPE_INT, R_ | W_, false, false, "Disable Timeout", NULL, "s"},
    {6, LWM2M_TYPE_BOOL, R_ | W_, false, true, "Notification Storing When Disabled or Offline",
     NULL, NULL},
    {7, LWM2M_TYPE_STRING, R_ | W_, false, true, "Binding", NULL, NULL},
    {8, LWM2M_TYPE_NONE, E_, false, true, "Registration Update Trigger", NULL, NULL},
    {9, LWM2M_TYPE_NONE, E_, false, false, "Bootstrap-Request Trigger", NULL, NULL},
    {10, LWM2M_TYPE_OBJLNK, R_ | W_, false, false, "APN Link", NULL, NULL},
    {11, LWM2M_TYPE_UINT, R_, false, false, "TLS-DTLS Alert Code", "0..255", NULL},
    {12, LWM2M_TYPE_TIME, R_, false, false, "Last Bootstrapped", NULL, NULL},
    {13, LWM2M_TYPE_UINT, R_, false, false, "Registration Priority Order", NULL, NULL},
    {14, LWM2M_TYPE_UINT, R_ | W_, false, false, "Initial Registration Delay Timer", NULL, "s"},
    {15, LWM2M_TYPE_BOOL, R_, false, false, "Registration Failure Block", NULL, NULL},
    {16, LWM2M_TYPE_BOOL, R_, false, false, "Bootstrap on Registration Failure", NULL, NULL},
    {17, LWM2M_TYPE_UINT, R_ | W_, false, false, "Communication Retry Count", NULL, NULL},
    {18, LWM2M_TYPE_UINT, R_ | W_, false, false, "Communication Retry Timer", NULL, "s"},
    {19, LWM2M_TYPE_UINT, R_ | W_, false, false, "Communication Sequence Delay Timer", NULL, "s"},
    {20, LWM2M_TYPE_UINT, R_ | W_, false, false, "Communication Sequence Retry Count", NULL, NULL},
    {21, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Trigger", NULL, NULL},
    {22, LWM2M_TYPE_STRING, R_ | W_, false, false, "Preferred Transport",
     "The possible values are those listed in the LwM2M Core Specification", NULL},
    {23, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Mute Send", NULL, NULL},
    {24, LWM2M_TYPE_OBJLNK, R_ | W_, true, false, "Alternate APN Links", NULL, NULL},
    {25, LWM2M_TYPE_STRING, R_ | W_, true, false, "Supported Server Versions", NULL, NULL},
    {26, LWM2M_TYPE_INT, R_ | W_, false, false, "Default Notification Mode", "0..1", NULL},
    {27, LWM2M_TYPE_UINT, R_ | W_, false, false, "Profile ID Hash Algorithm", "0..255", NULL},
};

static const struct lwm2m_res_def res_2_1_0[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Object ID", "1..65534", NULL},
    {1, LWM2M_TYPE_INT, R_, false, true, "Object Instance ID", "0..65535", NULL},
    {2, LWM2M_TYPE_INT, R_ | W_, true, false, "ACL", "16-bit", NULL},
    {3, LWM2M_TYPE_INT, R_ | W_, false, true, "Access Control Owner", "0..65535", NULL},
};

static const struct lwm2m_res_def res_2_1_1[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Object ID", "1..65534", NULL},
    {1, LWM2M_TYPE_INT, R_, false, true, "Object Instance ID", "0..65535", NULL},
    {2, LWM2M_TYPE_INT, R_ | W_, true, false, "ACL", "0..31", NULL},
    {3, LWM2M_TYPE_INT, R_ | W_, false, true, "Access Control Owner", "0..65535", NULL},
};

static const struct lwm2m_res_def res_3_1_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, false, "Manufacturer", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_, false, false, "Model Number", NULL, NULL},
    {2, LWM2M_TYPE_STRING, R_, false, false, "Serial Number", NULL, NULL},
    {3, LWM2M_TYPE_STRING, R_, false, false, "Firmware Version", NULL, NULL},
    {4, LWM2M_TYPE_NONE, E_, false, true, "Reboot", NULL, NULL},
    {5, LWM2M_TYPE_NONE, E_, false, false, "Factory Reset", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, true, false, "Available Power Sources", "0-7", NULL},
    {7, LWM2M_TYPE_INT, R_, true, false, "Power Source Voltage", NULL, "mV"},
    {8, LWM2M_TYPE_INT, R_, true, false, "Power Source Current", NULL, "mA"},
    {9, LWM2M_TYPE_INT, R_, false, false, "Battery Level", "0-100", "%"},
    {10, LWM2M_TYPE_INT, R_, false, false, "Memory Free", NULL, "KB"},
    {11, LWM2M_TYPE_INT, R_, true, true, "Error Code", "0-8", NULL},
    {12, LWM2M_TYPE_NONE, E_, false, false, "Reset Error Code", NULL, NULL},
    {13, LWM2M_TYPE_TIME, R_ | W_, false, false, "Current Time", NULL, NULL},
    {14, LWM2M_TYPE_STRING, R_ | W_, false, false, "UTC Offset", NULL, NULL},
    {15, LWM2M_TYPE_STRING, R_ | W_, false, false, "Timezone", NULL, NULL},
    {16, LWM2M_TYPE_STRING, R_, false, true, "Supported Binding and Modes", NULL, NULL},
    {17, LWM2M_TYPE_STRING, R_, false, false, "Device Type", NULL, NULL},
    {18, LWM2M_TYPE_STRING, R_, false, false, "Hardware Version", NULL, NULL},
    {19, LWM2M_TYPE_STRING, R_, false, false, "Software Version", NULL, NULL},
    {20, LWM2M_TYPE_INT, R_, false, false, "Battery Status", "0-6", NULL},
    {21, LWM2M_TYPE_INT, R_, false, false, "Memory Total", NULL, NULL},
    {22, LWM2M_TYPE_OBJLNK, R_, true, false, "ExtDevInfo", NULL, NULL},
};

static const struct lwm2m_res_def res_3_1_1[] = {
    {0, LWM2M_TYPE_STRING, R_, false, false, "Manufacturer", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_, false, false, "Model Number", NULL, NULL},
    {2, LWM2M_TYPE_STRING, R_, false, false, "Serial Number", NULL, NULL},
    {3, LWM2M_TYPE_STRING, R_, false, false, "Firmware Version", NULL, NULL},
    {4, LWM2M_TYPE_NONE, E_, false, true, "Reboot", NULL, NULL},
    {5, LWM2M_TYPE_NONE, E_, false, false, "Factory Reset", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, true, false, "Available Power Sources", "0..7", NULL},
    {7, LWM2M_TYPE_INT, R_, true, false, "Power Source Voltage", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_, true, false, "Power Source Current", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, false, "Battery Level", "0..100", "%"},
    {10, LWM2M_TYPE_INT, R_, false, false, "Memory Free", NULL, NULL},
    {11, LWM2M_TYPE_INT, R_, true, true, "Error Code", "0..8", NULL},
    {12, LWM2M_TYPE_NONE, E_, false, false, "Reset Error Code", NULL, NULL},
    {13, LWM2M_TYPE_TIME, R_ | W_, false, false, "Current Time", NULL, NULL},
    {14, LWM2M_TYPE_STRING, R_ | W_, false, false, "UTC Offset", NULL, NULL},
    {15, LWM2M_TYPE_STRING, R_ | W_, false, false, "Timezone", NULL, NULL},
    {16, LWM2M_TYPE_STRING, R_, false, true, "Supported Binding and Modes", NULL, NULL},
    {17, LWM2M_TYPE_STRING, R_, false, false, "Device Type", NULL, NULL},
    {18, LWM2M_TYPE_STRING, R_, false, false, "Hardware Version", NULL, NULL},
    {19, LWM2M_TYPE_STRING, R_, false, false, "Software Version", NULL, NULL},
    {20, LWM2M_TYPE_INT, R_, false, false, "Battery Status", "0..6", NULL},
    {21, LWM2M_TYPE_INT, R_, false, false, "Memory Total", NULL, NULL},
    {22, LWM2M_TYPE_OBJLNK, R_, true, false, "ExtDevInfo", NULL, NULL},
};

static const struct lwm2m_res_def res_3_1_2[] = {
    {0, LWM2M_TYPE_STRING, R_, false, false, "Manufacturer", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_, false, false, "Model Number", NULL, NULL},
    {2, LWM2M_TYPE_STRING, R_, false, false, "Serial Number", NULL, NULL},
    {3, LWM2M_TYPE_STRING, R_, false, false, "Firmware Version", NULL, NULL},
    {4, LWM2M_TYPE_NONE, E_, false, true, "Reboot", NULL, NULL},
    {5, LWM2M_TYPE_NONE, E_, false, false, "Factory Reset", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, true, false, "Available Power Sources", "0..7", NULL},
    {7, LWM2M_TYPE_INT, R_, true, false, "Power Source Voltage", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_, true, false, "Power Source Current", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, false, "Battery Level", "0..100", "/100"},
    {10, LWM2M_TYPE_INT, R_, false, false, "Memory Free", NULL, NULL},
    {11, LWM2M_TYPE_INT, R_, true, true, "Error Code", "0..32", NULL},
    {12, LWM2M_TYPE_NONE, E_, false, false, "Reset Error Code", NULL, NULL},
    {13, LWM2M_TYPE_TIME, R_ | W_, false, false, "Current Time", NULL, NULL},
    {14, LWM2M_TYPE_STRING, R_ | W_, false, false, "UTC Offset", NULL, NULL},
    {15, LWM2M_TYPE_STRING, R_ | W_, false, false, "Timezone", NULL, NULL},
    {16, LWM2M_TYPE_STRING, R_, false, true, "Supported Binding and Modes", NULL, NULL},
    {17, LWM2M_TYPE_STRING, R_, false, false, "Device Type", NULL, NULL},
    {18, LWM2M_TYPE_STRING, R_, false, false, "Hardware Version", NULL, NULL},
    {19, LWM2M_TYPE_STRING, R_, false, false, "Software Version", NULL, NULL},
    {20, LWM2M_TYPE_INT, R_, false, false, "Battery Status", "0..6", NULL},
    {21, LWM2M_TYPE_INT, R_, false, false, "Memory Total", NULL, NULL},
    {22, LWM2M_TYPE_OBJLNK, R_, true, false, "ExtDevInfo", NULL, NULL},
};

static const struct lwm2m_res_def res_4_1_0[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Network Bearer", "0-50", NULL},
    {1, LWM2M_TYPE_INT, R_, true, true, "Available Network Bearer", "0-50", NULL},
    {2, LWM2M_TYPE_INT, R_, false, true, "Radio Signal Strength", NULL, "dBm"},
    {3, LWM2M_TYPE_INT, R_, false, false, "Link Quality", NULL, NULL},
    {4, LWM2M_TYPE_STRING, R_, true, true, "IP Addresses", NULL, NULL},
    {5, LWM2M_TYPE_STRING, R_, true, false, "Router IP Addresses", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, false, false, "Link Utilization", "0-100", "%"},
    {7, LWM2M_TYPE_STRING, R_, true, false, "APN", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_, false, false, "Cell ID", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, false, "SMNC", "0-999", "%"},
    {10, LWM2M_TYPE_INT, R_, false, false, "SMCC", "0-999", NULL},
};

static const struct lwm2m_res_def res_4_1_1[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Network Bearer", "0-50", NULL},
    {1, LWM2M_TYPE_INT, R_, true, true, "Available Network Bearer", "0-50", NULL},
    {2, LWM2M_TYPE_INT, R_, false, true, "Radio Signal Strength", NULL, "dBm"},
    {3, LWM2M_TYPE_INT, R_, false, false, "Link Quality", NULL, NULL},
    {4, LWM2M_TYPE_STRING, R_, true, true, "IP Addresses", NULL, NULL},
    {5, LWM2M_TYPE_STRING, R_, true, false, "Router IP Addresses", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, false, false, "Link Utilization", "0-100", "%"},
    {7, LWM2M_TYPE_STRING, R_, true, false, "APN", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_, false, false, "Cell ID", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, false, "SMNC", "0-999", "%"},
    {10, LWM2M_TYPE_INT, R_, false, false, "SMCC", "0-999", NULL},
    {11, LWM2M_TYPE_INT, R_, false, false, "SignalSNR", NULL, "dB"},
};

static const struct lwm2m_res_def res_4_1_2[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Network Bearer", "0..50", NULL},
    {1, LWM2M_TYPE_INT, R_, true, true, "Available Network Bearer", "0..50", NULL},
    {2, LWM2M_TYPE_INT, R_, false, true, "Radio Signal Strength", NULL, NULL},
    {3, LWM2M_TYPE_INT, R_, false, false, "Link Quality", NULL, NULL},
    {4, LWM2M_TYPE_STRING, R_, true, true, "IP Addresses", NULL, NULL},
    {5, LWM2M_TYPE_STRING, R_, true, false, "Router IP Addresses", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, false, false, "Link Utilization", "0..100", "%"},
    {7, LWM2M_TYPE_STRING, R_, true, false, "APN", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_, false, false, "Cell ID", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, false, "SMNC", "0..999", NULL},
    {10, LWM2M_TYPE_INT, R_, false, false, "SMCC", "0..999", NULL},
    {11, LWM2M_TYPE_INT, R_, false, false, "SignalSNR", NULL, "dB"},
    {12, LWM2M_TYPE_INT, R_, false, false, "LAC", NULL, NULL},
};

static const struct lwm2m_res_def res_4_1_3[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Network Bearer", "0..50", NULL},
    {1, LWM2M_TYPE_INT, R_, true, true, "Available Network Bearer", "0..50", NULL},
    {2, LWM2M_TYPE_INT, R_, false, true, "Radio Signal Strength", NULL, "dBm"},
    {3, LWM2M_TYPE_INT, R_, false, false, "Link Quality", NULL, NULL},
    {4, LWM2M_TYPE_STRING, R_, true, true, "IP Addresses", NULL, NULL},
    {5, LWM2M_TYPE_STRING, R_, true, false, "Router IP Addresses", NULL, NULL},
    {6, LWM2M_TYPE_INT, R_, false, false, "Link Utilization", "0..100", "/100"},
    {7, LWM2M_TYPE_STRING, R_, true, false, "APN", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_, false, false, "Cell ID", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, false, "SMNC", "0..999", NULL},
    {10, LWM2M_TYPE_INT, R_, false, false, "SMCC", "0..999", NULL},
    {11, LWM2M_TYPE_INT, R_, false, false, "SignalSNR", NULL, "dB"},
    {12, LWM2M_TYPE_INT, R_, false, false, "LAC", NULL, NULL},
    {13, LWM2M_TYPE_INT, R_, false, false, "Coverage Enhancement Level", "0..4", NULL},
};

static const struct lwm2m_res_def res_5_1_0[] = {
    {0, LWM2M_TYPE_OPAQUE, W_, false, true, "Package", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_ | W_, false, true, "Package URI", "0..255", NULL},
    {2, LWM2M_TYPE_NONE, E_, false, true, "Update", NULL, NULL},
    {3, LWM2M_TYPE_INT, R_, false, true, "State", "0..3", NULL},
    {5, LWM2M_TYPE_INT, R_, false, true, "Update Result", "0..9", NULL},
    {6, LWM2M_TYPE_STRING, R_, false, false, "PkgName", "0..255", NULL},
    {7, LWM2M_TYPE_STRING, R_, false, false, "PkgVersion", "0..255", NULL},
    {8, LWM2M_TYPE_INT, R_, true, false, "Firmware Update Protocol Support", "0..5", NULL},
    {9, LWM2M_TYPE_INT, R_, false, true, "Firmware Update Delivery Method", "0..2", NULL},
};

static const struct lwm2m_res_def res_5_1_1[] = {
    {0, LWM2M_TYPE_OPAQUE, W_, false, true, "Package", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_ | W_, false, true, "Package URI", "0..255", NULL},
    {2, LWM2M_TYPE_NONE, E_, false, true, "Update", NULL, NULL},
    {3, LWM2M_TYPE_INT, R_, false, true, "State", "0..3", NULL},
    {5, LWM2M_TYPE_INT, R_, false, true, "Update Result", "0..11", NULL},
    {6, LWM2M_TYPE_STRING, R_, false, false, "PkgName", "0..255", NULL},
    {7, LWM2M_TYPE_STRING, R_, false, false, "PkgVersion", "0..255", NULL},
    {8, LWM2M_TYPE_INT, R_, true, false, "Firmware Update Protocol Support", "0..5", NULL},
    {9, LWM2M_TYPE_INT, R_, false, true, "Firmware Update Delivery Method", "0..2", NULL},
    {10, LWM2M_TYPE_NONE, E_, false, false, "Cancel", NULL, NULL},
    {11, LWM2M_TYPE_INT, R_ | W_, false, false, "Severity", "0..2", NULL},
    {12, LWM2M_TYPE_TIME, R_, false, false, "Last State Change Time", NULL, NULL},
    {13, LWM2M_TYPE_UINT, R_ | W_, false, false, "Maximum Defer Period", NULL, "s"},
};

static const struct lwm2m_res_def res_5_1_2[] = {
    {0, LWM2M_TYPE_OPAQUE, W_, false, true, "Package", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_ | W_, false, true, "Package URI", "0..255", NULL},
    {2, LWM2M_TYPE_NONE, E_, false, true, "Update", NULL, NULL},
    {3, LWM2M_TYPE_INT, R_, false, true, "State", "0..3", NULL},
    {5, LWM2M_TYPE_INT, R_, false, true, "Update Result", "0..11", NULL},
    {6, LWM2M_TYPE_STRING, R_, false, false, "PkgName", "0..255", NULL},
    {7, LWM2M_TYPE_STRING, R_, false, false, "PkgVersion", "0..255", NULL},
    {8, LWM2M_TYPE_INT, R_, true, false, "Firmware Update Protocol Support", "0..5", NULL},
    {9, LWM2M_TYPE_INT, R_, false, true, "Firmware Update Delivery Method", "0..2", NULL},
    {10, LWM2M_TYPE_NONE, E_, false, false, "Cancel", NULL, NULL},
    {11, LWM2M_TYPE_INT, R_ | W_, false, false, "Severity", "0..2", NULL},
    {12, LWM2M_TYPE_TIME, R_, false, false, "Last State Change Time", NULL, NULL},
    {13, LWM2M_TYPE_UINT, R_ | W_, false, false, "Maximum Defer Period", NULL, "s"},
    {14, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Automatic Upgrade at Download", NULL, NULL},
};

static const struct lwm2m_res_def res_6_1_0[] = {
    {0, LWM2M_TYPE_FLOAT, R_, false, true, "Latitude", NULL, "lat"},
    {1, LWM2M_TYPE_FLOAT, R_, false, true, "Longitude", NULL, "lon"},
    {2, LWM2M_TYPE_FLOAT, R_, false, false, "Altitude", NULL, "m"},
    {3, LWM2M_TYPE_FLOAT, R_, false, false, "Radius", NULL, "m"},
    {4, LWM2M_TYPE_OPAQUE, R_, false, false, "Velocity", NULL, NULL},
    {5, LWM2M_TYPE_TIME, R_, false, true, "Timestamp", NULL, NULL},
    {6, LWM2M_TYPE_FLOAT, R_, false, false, "Speed", NULL, "m/s"},
};

static const struct lwm2m_res_def res_7_1_0[] = {
    {0, LWM2M_TYPE_INT, R_, false, false, "SMS Tx Counter", NULL, NULL},
    {1, LWM2M_TYPE_INT, R_, false, false, "SMS Rx Counter", NULL, NULL},
    {2, LWM2M_TYPE_INT, R_, false, false, "Tx Data", NULL, NULL},
    {3, LWM2M_TYPE_INT, R_, false, false, "Rx Data", NULL, NULL},
    {4, LWM2M_TYPE_INT, R_, false, false, "Max Message Size", NULL, "B"},
    {5, LWM2M_TYPE_INT, R_, false, false, "Average Message Size", NULL, "B"},
    {6, LWM2M_TYPE_NONE, E_, false, true, "Start", NULL, NULL},
    {7, LWM2M_TYPE_NONE, E_, false, true, "Stop", NULL, NULL},
    {8, LWM2M_TYPE_INT, R_ | W_, false, false, "Collection Period", NULL, "s"},
};

static const struct lwm2m_res_def res_9_1_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, true, "PkgName", "0..255 bytes", NULL},
    {1, LWM2M_TYPE_STRING, R_, false, true, "PkgVersion", "0..255 bytes", NULL},
    {2, LWM2M_TYPE_OPAQUE, W_, false, false, "Package", NULL, NULL},
    {3, LWM2M_TYPE_STRING, W_, false, false, "Package URI", "0..255 bytes", NULL},
    {4, LWM2M_TYPE_NONE, E_, false, true, "Install", NULL, NULL},
    {5, LWM2M_TYPE_OBJLNK, R_, false, false, "Checkpoint", NULL, NULL},
    {6, LWM2M_TYPE_NONE, E_, false, true, "Uninstall", NULL, NULL},
    {7, LWM2M_TYPE_INT, R_, false, true, "Update State", "0..4", NULL},
    {8, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Update Supported Objects", NULL, NULL},
    {9, LWM2M_TYPE_INT, R_, false, true, "Update Result", "0..200", NULL},
    {10, LWM2M_TYPE_NONE, E_, false, true, "Activate", NULL, NULL},
    {11, LWM2M_TYPE_NONE, E_, false, true, "Deactivate", NULL, NULL},
    {12, LWM2M_TYPE_BOOL, R_, false, true, "Activation State", NULL, NULL},
    {13, LWM2M_TYPE_OBJLNK, R_ | W_, false, false, "Package Settings", NULL, NULL},
    {14, LWM2M_TYPE_STRING, W_, false, false, "User Name", "0..255 bytes", NULL},
    {15, LWM2M_TYPE_STRING, W_, false, false, "Password", "0..255 bytes", NULL},
    {16, LWM2M_TYPE_STRING, R_, false, false, "Status Reason", NULL, NULL},
    {17, LWM2M_TYPE_OBJLNK, R_, true, false, "Software Component Link", NULL, NULL},
    {18, LWM2M_TYPE_INT, R_, false, false, "Software Component tree length", "0..255", NULL},
};

static const struct lwm2m_res_def res_14_1_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, false, "Component Identity", "0..255 bytes", NULL},
    {1, LWM2M_TYPE_OPAQUE, R_, false, false, "Component Pack", NULL, NULL},
    {2, LWM2M_TYPE_STRING, R_, false, false, "Component Version", "0..255 bytes", NULL},
    {3, LWM2M_TYPE_NONE, E_, false, false, "Activate", NULL, NULL},
    {4, LWM2M_TYPE_NONE, E_, false, false, "Deactivate", NULL, NULL},
    {5, LWM2M_TYPE_BOOL, R_, false, false, "Activation State", NULL, NULL},
};

static const struct lwm2m_res_def res_15_1_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, true, "Property", NULL, NULL},
    {1, LWM2M_TYPE_INT, R_, false, true, "Group", "0..15", NULL},
    {2, LWM2M_TYPE_STRING, R_, false, false, "Description", NULL, NULL},
    {3, LWM2M_TYPE_BOOL, R_, false, false, "Attached", NULL, NULL},
    {4, LWM2M_TYPE_BOOL, R_, false, true, "Enabled", NULL, NULL},
    {5, LWM2M_TYPE_NONE, E_, false, true, "opEnable", NULL, NULL},
    {6, LWM2M_TYPE_NONE, E_, true, true, "opDisable", NULL, NULL},
    {7, LWM2M_TYPE_BOOL, R_ | W_, false, false, "NotifyEn", NULL, NULL},
};

static const struct lwm2m_res_def res_15_2_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, true, "Property", NULL, NULL},
    {1, LWM2M_TYPE_INT, R_, false, true, "Group", "0..15", NULL},
    {2, LWM2M_TYPE_STRING, R_, false, false, "Description", NULL, NULL},
    {3, LWM2M_TYPE_BOOL, R_, false, false, "Attached", NULL, NULL},
    {4, LWM2M_TYPE_BOOL, R_, false, true, "Enabled", NULL, NULL},
    {5, LWM2M_TYPE_NONE, E_, false, true, "opEnable", NULL, NULL},
    {6, LWM2M_TYPE_NONE, E_, false, true, "opDisable", NULL, NULL},
    {7, LWM2M_TYPE_BOOL, R_ | W_, false, false, "NotifyEn", NULL, NULL},
};

static const struct lwm2m_res_def res_16_1_0[] = {
    {0, LWM2M_TYPE_STRING, R_ | W_, true, true, "Identity", NULL, NULL},
    {1, LWM2M_TYPE_NONE, E_, false, false, "GetAuthData", NULL, NULL},
    {2, LWM2M_TYPE_OPAQUE, R_, true, false, "AuthData", NULL, NULL},
    {3, LWM2M_TYPE_INT, R_, false, false, "AuthStatus", "0..2", NULL},
};

static const struct lwm2m_res_def res_19_1_0[] = {
    {0, LWM2M_TYPE_OPAQUE, R_ | W_, true, true, "Data", NULL, NULL},
    {1, LWM2M_TYPE_INT, R_ | W_, false, false, "Data Priority", "1 bytes", NULL},
    {2, LWM2M_TYPE_TIME, R_ | W_, false, false, "Data Creation Time", NULL, NULL},
    {3, LWM2M_TYPE_STRING, R_ | W_, false, false, "Data Description", "32 bytes", NULL},
    {4, LWM2M_TYPE_STRING, R_ | W_, false, false, "Data Format", "32 bytes", NULL},
    {5, LWM2M_TYPE_INT, R_ | W_, false, false, "App ID", "2 bytes", NULL},
};

static const struct lwm2m_res_def res_21_1_0[] = {
    {0, LWM2M_TYPE_STRING, 0, false, true, "OSCORE Master Secret", NULL, NULL},
    {1, LWM2M_TYPE_STRING, 0, false, true, "OSCORE Sender ID", NULL, NULL},
    {2, LWM2M_TYPE_STRING, 0, false, true, "OSCORE Recipient ID", NULL, NULL},
    {3, LWM2M_TYPE_INT, 0, false, false, "OSCORE AEAD Algorithm", NULL, NULL},
    {4, LWM2M_TYPE_INT, 0, false, false, "OSCORE HMAC Algorithm", NULL, NULL},
    {5, LWM2M_TYPE_STRING, 0, false, false, "OSCORE Master Salt", NULL, NULL},
};

static const struct lwm2m_res_def res_21_1_1[] = {
    {0, LWM2M_TYPE_STRING, 0, false, true, "OSCORE Master Secret", NULL, NULL},
    {1, LWM2M_TYPE_STRING, 0, false, true, "OSCORE Sender ID", NULL, NULL},
    {2, LWM2M_TYPE_STRING, 0, false, true, "OSCORE Recipient ID", NULL, NULL},
    {3, LWM2M_TYPE_INT, 0, false, false, "OSCORE AEAD Algorithm", NULL, NULL},
    {4, LWM2M_TYPE_INT, 0, false, false, "OSCORE HMAC Algorithm", NULL, NULL},
    {5, LWM2M_TYPE_STRING, 0, false, false, "OSCORE Master Salt", NULL, NULL},
    {6, LWM2M_TYPE_STRING, 0, false, false, "OSCORE ID Context", NULL, NULL},
};

static const struct lwm2m_res_def res_21_2_0[] = {
    {0, LWM2M_TYPE_OPAQUE, 0, false, true, "OSCORE Master Secret", NULL, NULL},
    {1, LWM2M_TYPE_OPAQUE, 0, false, true, "OSCORE Sender ID", NULL, NULL},
    {2, LWM2M_TYPE_OPAQUE, 0, false, true, "OSCORE Recipient ID", NULL, NULL},
    {3, LWM2M_TYPE_INT, 0, false, false, "OSCORE AEAD Algorithm", NULL, NULL},
    {4, LWM2M_TYPE_INT, 0, false, false, "OSCORE HMAC Algorithm", NULL, NULL},
    {5, LWM2M_TYPE_OPAQUE, 0, false, false, "OSCORE Master Salt", NULL, NULL},
    {6, LWM2M_TYPE_OPAQUE, 0, false, false, "OSCORE ID Context", NULL, NULL},
};

static const struct lwm2m_res_def res_25_1_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, true, "Device ID", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_ | W_, false, true, "Prefix", NULL, NULL},
    {2, LWM2M_TYPE_OBJLNK, R_, false, false, "Routing Table Entry", NULL, NULL},
};

static const struct lwm2m_res_def res_25_2_0[] = {
    {0, LWM2M_TYPE_STRING, R_, false, true, "Device ID", NULL, NULL},
    {1, LWM2M_TYPE_STRING, R_, false, true, "Prefix", NULL, NULL},
    {3, LWM2M_TYPE_CORELNK, R_, false, true, "IoT Device Objects", NULL, NULL},
};

static const struct lwm2m_res_def res_26_1_0[] = {
    {0, LWM2M_TYPE_UINT, R_, false, true, "LwM2M Object ID", NULL, NULL},
    {1, LWM2M_TYPE_CORELNK, R_, false, true, "Mapping Info", NULL, NULL},
};

const struct lwm2m_obj_def lwm2m_core_objects[] = {
    {0, {1, 0}, true, true, "LWM2M Security", res_0_1_0, DR_ARRAY_LEN(res_0_1_0)},
    {0, {1, 1}, true, true, "LWM2M Security", res_0_1_1, DR_ARRAY_LEN(res_0_1_1)},
    {0, {1, 2}, true, true, "LWM2M Security", res_0_1_2, DR_ARRAY_LEN(res_0_1_2)},
    {1, {1, 0}, true, true, "LwM2M Server", res_1_1_0, DR_ARRAY_LEN(res_1_1_0)},
    {1, {1, 1}, true, true, "LwM2M Server", res_1_1_1, DR_ARRAY_LEN(res_1_1_1)},
    {1, {1, 2}, true, true, "LwM2M Server", res_1_1_2, DR_ARRAY_LEN(res_1_1_2)},
    {2, {1, 0}, true, false, "LwM2M Access Control", res_2_1_0, DR_ARRAY_LEN(res_2_1_0)},
    {2, {1, 1}, true, false, "LwM2M Access Control", res_2_1_1, DR_ARRAY_LEN(res_2_1_1)},
    {3, {1, 0}, false, true, "Device", res_3_1_0, DR_ARRAY_LEN(res_3_1_0)},
    {3, {1, 1}, false, true, "Device", res_3_1_1, DR_ARRAY_LEN(res_3_1_1)},
    {3, {1, 2}, false, true, "Device", res_3_1_2, DR_ARRAY_LEN(res_3_1_2)},
    {4, {1, 0}, false, false, "Connectivity Monitoring", res_4_1_0, DR_ARRAY_LEN(res_4_1_0)},
    {4, {1, 1}, false, false, "Connectivity Monitoring", res_4_1_1, DR_ARRAY_LEN(res_4_1_1)},
    {4, {1, 2}, false, false, "Connectivity Monitoring", res_4_1_2, DR_ARRAY_LEN(res_4_1_2)},
    {4, {1, 3}, false, false, "Connectivity Monitoring", res_4_1_3, DR_ARRAY_LEN(res_4_1_3)},
    {5, {1, 0}, false, false, "Firmware Update", res_5_1_0, DR_ARRAY_LEN(res_5_1_0)},
    {5, {1, 1}, false, false, "Firmware Update", res_5_1_1, DR_ARRAY_LEN(res_5_1_1)},
    {5, {1, 2}, false, false, "Firmware Update", res_5_1_2, DR_ARRAY_LEN(res_5_1_2)},
    {6, {1, 0}, false, false, "Location", res_6_1_0, DR_ARRAY_LEN(res_6_1_0)},
    {7, {1, 0}, false, false, "Connectivity Statistics", res_7_1_0, DR_ARRAY_LEN(res_7_1_0)},
    {9, {1, 0}, true, false, "LWM2M Software Management", res_9_1_0, DR_ARRAY_LEN(res_9_1_0)},
    {14, {1, 0}, true, false, "LWM2M Software Component", res_14_1_0, DR_ARRAY_LEN(res_14_1_0)},
    {15, {1, 0}, true, false, "DevCapMgmt", res_15_1_0, DR_ARRAY_LEN(res_15_1_0)},
    {15, {2, 0}, true, false, "DevCapMgmt", res_15_2_0, DR_ARRAY_LEN(res_15_2_0)},
    {16, {1, 0}, true, false, "Portfolio", res_16_1_0, DR_ARRAY_LEN(res_16_1_0)},
    {19, {1, 0}, true, false, "BinaryAppDataContainer", res_19_1_0, DR_ARRAY_LEN(res_19_1_0)},
    {21, {1, 0}, true, false, "LWM2M OSCORE", res_21_1_0, DR_ARRAY_LEN(res_21_1_0)},
    {21, {1, 1}, true, false, "LWM2M OSCORE", res_21_1_1, DR_ARRAY_LEN(res_21_1_1)},
    {21, {2, 0}, true, false, "LWM2M OSCORE", res_21_2_0, DR_ARRAY_LEN(res_21_2_0)},
    {25, {1, 0}, true, false, "LwM2M Gateway", res_25_1_0, DR_ARRAY_LEN(res_25_1_0)},
    {25, {2, 0}, true, false, "LwM2M Gateway", res_25_2_0, DR_ARRAY_LEN(res_25_2_0)},
    {26, {1, 0}, true, false, "LwM2M Gateway Routing", res_26_1_0, DR_ARRAY_LEN(res_26_1_0)},
};
const size_t lwm2m_core_objects_count = DR_ARRAY_LEN(lwm2m_core_objects);
