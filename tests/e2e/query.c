/* Asks as programs do, by the C library: `query address NAME` prints each address once and, last, the milliseconds that it
 * took; `query srv|txt NAME` and `query ptr ADDRESS` print a record's data a line. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int addresses(const char *name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *each;
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    int error = getaddrinfo(name, NULL, &hints, &found);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    if (error) {
        fprintf(stderr, "%s\n", gai_strerror(error));
        return 1;
    }
    for (each = found; each; each = each->ai_next) {
        char text[64];
        getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        printf("%s\n", text);
    }
    printf("%ld\n", (ended.tv_sec - began.tv_sec) * 1000 + (ended.tv_nsec - began.tv_nsec) / 1000000);
    return 0;
}

static int name_of(const char *address)
{
    struct sockaddr_in peer = {.sin_family = AF_INET};
    char name[NI_MAXHOST];
    inet_pton(AF_INET, address, &peer.sin_addr);
    int error = getnameinfo((struct sockaddr *)&peer, sizeof peer, name, sizeof name, NULL, 0, NI_NAMEREQD);
    printf("%s\n", error ? gai_strerror(error) : name);
    return error != 0;
}

static void print(const unsigned char *message, const unsigned char *end, int type, const unsigned char *data, int length)
{
    char name[NS_MAXDNAME];
    if (type == ns_t_srv && length > 6 && dn_expand(message, end, data + 6, name, sizeof name) > 0)
        printf("%d %d %d %s\n", data[0] << 8 | data[1], data[2] << 8 | data[3], data[4] << 8 | data[5], name);
    for (int at = 0; type == ns_t_txt && at < length; at += 1 + data[at])
        printf("%.*s\n", data[at], data + at + 1);
}

static int records(int type, const char *name)
{
    static unsigned char answer[65535];
    int length = res_search(name, ns_c_in, type, answer, sizeof answer);
    if (length < 12)
        return 1;
    const unsigned char *end = answer + length, *at = answer + 12;
    int count = answer[6] << 8 | answer[7];
    at += dn_skipname(at, end) + 4;
    for (; count > 0; count--) {
        at += dn_skipname(at, end);
        if (at + 10 > end)
            return 1;
        int data = at[8] << 8 | at[9];
        print(answer, end, at[0] << 8 | at[1], at + 10, data);
        at += 10 + data;
    }
    return 0;
}

int main(int count, char **words)
{
    if (count != 3)
        return 2;
    if (!strcmp(words[1], "address"))
        return addresses(words[2]);
    if (!strcmp(words[1], "ptr"))
        return name_of(words[2]);
    return records(!strcmp(words[1], "srv") ? ns_t_srv : ns_t_txt, words[2]);
}
