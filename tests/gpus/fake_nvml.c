/* A library that answers like libnvidia-ml, from a text file.
 *
 * FAKE_NVML names a folder. Its file `driver` has one statement a line:
 *   card UUID TOTAL USED        a card; USED comes on top of what its processes hold
 *   mig UUID TOTAL USED         a MIG device of the card before it
 *   busy PERCENT                of the card or device before it; without: the driver cannot tell
 *   process PID USED            on the card or device before it; USED may be "unknown"
 *   fail FUNCTION CODE [INDEX]  that function answers with this error (for the card of that index only)
 *   old                         a driver without the newer functions
 *   ancient                     a driver without those that list processes, either
 * Every file in `running/` is named by a living process and holds "UUID BYTES": what that process has on a card now.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 64
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7
#define FUNCTION_NOT_FOUND 13
#define UNKNOWN_MEMORY (~0ULL)

typedef struct { unsigned pid; unsigned long long used; } process;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;

typedef struct {
    int index, mig; /* mig: the number of the card that it is a part of, or -1 */
    char uuid[96];
    unsigned long long total, used;
    int busy; /* percent, or -1 */
    int processes;
    process process[MOST];
} device;

static device devices[MOST];
static int device_count, initialised, old_driver, ancient_driver, failures;
static struct { char function[80]; int code, index; } failing[MOST];

static void read_driver(void) {
    char path[4096], line[512], word[16], text[96], number[32];
    unsigned long long total, used;
    int cards = 0, pid;
    device_count = failures = old_driver = ancient_driver = 0;
    memset(devices, 0, sizeof devices);
    snprintf(path, sizeof path, "%s/driver", getenv("FAKE_NVML"));
    FILE *file = fopen(path, "r");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%15s", word) != 1) continue;
        device *last = device_count ? &devices[device_count - 1] : NULL;
        if ((!strcmp(word, "card") || !strcmp(word, "mig")) && sscanf(line, "%*s %95s %llu %llu", text, &total, &used) == 3) {
            device *next = &devices[device_count++];
            int is_mig = word[0] == 'm';
            next->index = is_mig ? -1 : cards;
            next->mig = is_mig ? cards - 1 : -1;
            cards += !is_mig;
            strcpy(next->uuid, text);
            next->total = total;
            next->used = used;
            next->busy = -1;
        } else if (!strcmp(word, "process") && last && sscanf(line, "%*s %d %31s", &pid, number) == 2) {
            process *p = &last->process[last->processes++];
            p->pid = (unsigned)pid;
            p->used = number[0] == 'u' ? UNKNOWN_MEMORY : strtoull(number, NULL, 10);
            if (p->used != UNKNOWN_MEMORY) last->used += p->used;
        } else if (!strcmp(word, "busy") && last && sscanf(line, "%*s %d", &pid) == 1) {
            last->busy = pid;
        } else if (!strcmp(word, "fail")) {
            failing[failures].index = -1;
            sscanf(line, "%*s %79s %d %d", failing[failures].function, &failing[failures].code, &failing[failures].index);
            failures++;
        } else if (!strcmp(word, "old")) old_driver = 1;
        else if (!strcmp(word, "ancient")) old_driver = ancient_driver = 1;
    }
    fclose(file);
    snprintf(path, sizeof path, "%s/running", getenv("FAKE_NVML"));
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4400];
        pid = atoi(entry->d_name);
        if (pid <= 0 || kill(pid, 0)) continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (!(file = fopen(name, "r"))) continue;
        if (fscanf(file, "%95s %llu", text, &used) == 2)
            for (int i = 0; i < device_count; i++)
                if (!strcmp(devices[i].uuid, text)) {
                    process *p = &devices[i].process[devices[i].processes++];
                    p->pid = (unsigned)pid;
                    p->used = used;
                    devices[i].used += used;
                }
        fclose(file);
    }
    closedir(folder);
}

static int failure(const char *function, const device *d) {
    for (int i = 0; i < failures; i++)
        if (!strcmp(failing[i].function, function) && (failing[i].index < 0 || (d && d->index == failing[i].index)))
            return failing[i].code;
    return initialised ? 0 : 1;
}

#define CHECK(name, d) do { int code = failure(name, d); if (code) return code; } while (0)

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    initialised = 1;
    read_driver();
    int code = failure("nvmlInitWithFlags", NULL);
    initialised = !code;
    while (getenv("FAKE_NVML_HANGS") && !access(getenv("FAKE_NVML_HANGS"), F_OK)) usleep(1000);
    return code;
}

int nvmlShutdown(void) { initialised = 0; return 0; }

const char *nvmlErrorString(int code) {
    return code == 15 ? "GPU is lost" : code == 18 ? "Driver/library version mismatch" : "Some error";
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    read_driver();
    CHECK("nvmlDeviceGetCount_v2", NULL);
    *count = 0;
    for (int i = 0; i < device_count; i++) *count += devices[i].index >= 0;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
    for (int i = 0; i < device_count; i++)
        if (devices[i].index == (int)index) {
            CHECK("nvmlDeviceGetHandleByIndex_v2", &devices[i]);
            *handle = &devices[i];
            return 0;
        }
    return 2;
}

int nvmlDeviceGetUUID(device *d, char *uuid, unsigned length) {
    CHECK("nvmlDeviceGetUUID", d);
    if (strlen(d->uuid) >= length) return INSUFFICIENT_SIZE;
    strcpy(uuid, d->uuid);
    return 0;
}

int nvmlDeviceGetUtilizationRates(device *d, utilization *rates) {
    CHECK("nvmlDeviceGetUtilizationRates", d);
    if (d->busy < 0) return NOT_SUPPORTED;
    rates->gpu = (unsigned)d->busy;
    rates->memory = 0;
    return 0;
}

int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *memory) {
    CHECK("nvmlDeviceGetMemoryInfo_v2", d);
    if (old_driver) return FUNCTION_NOT_FOUND;
    if (memory->version != (sizeof(memory_v2) | (2 << 24))) return 25;
    memory->total = d->total;
    memory->used = d->used;
    memory->reserved = 0;
    memory->free = d->total - d->used;
    return 0;
}

int nvmlDeviceGetMemoryInfo(device *d, memory_t *memory) {
    CHECK("nvmlDeviceGetMemoryInfo", d);
    memory->total = d->total;
    memory->used = d->used;
    memory->free = d->total - d->used;
    return 0;
}

static int list_processes(const device *d, unsigned *count, process_t *list) {
    unsigned room = *count;
    *count = (unsigned)d->processes;
    if (room < *count) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++)
        list[i] = (process_t){d->process[i].pid, d->process[i].used, ~0u, ~0u};
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device *d, unsigned *count, process_t *list) {
    CHECK("nvmlDeviceGetComputeRunningProcesses_v3", d);
    return old_driver ? FUNCTION_NOT_FOUND : list_processes(d, count, list);
}

int nvmlDeviceGetComputeRunningProcesses_v2(device *d, unsigned *count, process_t *list) {
    CHECK("nvmlDeviceGetComputeRunningProcesses_v2", d);
    return ancient_driver ? FUNCTION_NOT_FOUND : list_processes(d, count, list);
}

int nvmlDeviceGetMigMode(device *d, unsigned *current, unsigned *pending) {
    *current = *pending = 0;
    for (int i = 0; i < device_count; i++)
        if (devices[i].mig == d->index) *current = *pending = 1;
    return *current ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *count) { (void)d; *count = 7; return 0; }

int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned index, device **handle) {
    unsigned at = 0;
    for (int i = 0; i < device_count; i++)
        if (devices[i].mig == d->index && at++ == index) { *handle = &devices[i]; return 0; }
    return 6;
}
