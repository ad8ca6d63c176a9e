// SPDX-License-Identifier: LGPL-2.1-or-later

// Command call makes one call to a CSI driver, for scripts. The request is JSON as protobuf defines it, without
// one it is empty; the answer is a line of JSON, an error a line on standard error.
//
//	call SOCKET Service/Method [REQUEST]
//
// The services are those of csi.v1: call /csi/csi.sock Controller/DeleteVolume '{"volumeId": "db"}'.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: call SOCKET Service/Method [REQUEST]")
		os.Exit(2)
	}
	request := "{}"
	if len(os.Args) == 4 {
		request = os.Args[3]
	}
	answer, err := call(os.Args[1], os.Args[2], request)
	if err != nil {
		fmt.Fprintf(os.Stderr, "call: %s: %v\n", os.Args[2], err)
		os.Exit(1)
	}
	fmt.Println(answer)
}

func call(socket, path, request string) (string, error) {
	method := find(path)
	if method == nil {
		return "", fmt.Errorf("there is no such method")
	}
	in, out := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if err := protojson.Unmarshal([]byte(request), in); err != nil {
		return "", err
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err = conn.Invoke(context.Background(), "/csi.v1."+path, in, out, grpc.WaitForReady(true)); err != nil {
		return "", err
	}
	return line(out)
}

// find returns the method of Service/Method, or nil.
func find(path string) protoreflect.MethodDescriptor {
	service, method, _ := strings.Cut(path, "/")
	s := csi.File_csi_proto.Services().ByName(protoreflect.Name(service))
	if s == nil {
		return nil
	}
	return s.Methods().ByName(protoreflect.Name(method))
}

// line is a message as JSON without the blanks that protojson varies on purpose.
func line(m protoreflect.ProtoMessage) (string, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text)
	return b.String(), err
}
