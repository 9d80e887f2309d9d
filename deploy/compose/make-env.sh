#!/bin/sh
# Make .env from .env.example, with random secrets, for docker-compose: once. A .env that is there
# stays as it is; it is only told which new names it lacks. Needs nothing but a POSIX shell.
set -eu
cd "${1:-$(dirname "$0")/../..}"
umask 077 # .env is for its owner's eyes only.

names() { sed -n 's/^\([A-Z_]*\)=.*/\1/p' "$1"; }

if [ -e .env ]; then
    echo ".env is there already and stays as it is."
    names .env.example | while read -r name; do
        grep -q "^$name=" .env || echo "  .env has no $name; .env.example says what it means."
    done
    exit 0
fi

# Hex, as it means nothing special to compose, to a URL or to a shell.
secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
rabbitmq=$(secret) postgres=$(secret) esl=$(secret)

trap 'rm -f .env.part' EXIT
while IFS= read -r line; do
    case $line in
    VOICE_AMQP_URL=*) line=$(printf '%s' "$line" | sed "s/SECRET/$rabbitmq/") ;;
    VOICE_DATABASE_URL=*) line=$(printf '%s' "$line" | sed "s/SECRET/$postgres/") ;;
    VOICE_SWITCHES=*) line=$(printf '%s' "$line" | sed "s/SECRET/$esl/") ;;
    RABBITMQ_PASSWORD=) line=$line$rabbitmq ;;
    POSTGRES_PASSWORD=) line=$line$postgres ;;
    FREESWITCH_ESL_PASSWORD=) line=$line$esl ;;
    VOICE_PASSWORD_KEYS= | VOICE_WEBHOOK_KEYS=) line=${line}first=$(secret)$(secret) ;;
    VOICE_SWITCH_USER=) line=${line}switch ;;
    VOICE_TOKEN= | VOICE_AES_KEY= | VOICE_AES_IV= | *_PASSWORD=) line=$line$(secret) ;;
    esac
    printf '%s\n' "$line"
done <.env.example >.env.part
mv .env.part .env

cat <<'END'
.env is made, with secrets of its own. Fill in before `docker-compose up`:
  VOICE_DOMAIN           the SIP domain of your phones
  FREESWITCH_CARRIER     the SIP host of your carrier
  FREESWITCH_PUBLIC_IP   the address at which phones and carrier reach this machine
With a switch of your own: VOICE_SWITCHES instead, and no COMPOSE_PROFILES (docs/compose.md).
The CRM needs VOICE_TOKEN, VOICE_AES_KEY and VOICE_AES_IV.
END
