// SPDX-License-Identifier: LGPL-2.1-or-later

// Command restarter stands between an orchestrator and a CSI driver that it kills all the time: between two
// requests, or in the middle of one, which it then asks for again, as orchestrators do.
//
//	restarter [-seed N] LISTEN SOCKET DRIVER [ARGUMENT...]
//
// LISTEN is where the orchestrator finds the driver, SOCKET where DRIVER serves.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// raw passes messages on as the bytes that they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

type restarter struct {
	lock    sync.Mutex // the orchestrator's requests come one by one
	command []string
	process *exec.Cmd
	driver  *grpc.ClientConn
	random  *rand.Rand
	between int // kills
	amid    int
	repeats int
	count   int
}

func (r *restarter) start() {
	r.process = exec.Command(r.command[0], r.command[1:]...)
	r.process.Stderr = os.Stderr
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.process.Start(); err != nil {
		log.Fatal(err)
	}
}

func (r *restarter) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

// Reading changes nothing that a kill could tear.
func changes(method string) bool {
	name := path.Base(method)
	return !strings.Contains(name, "Get") && !strings.Contains(name, "List") && !strings.Contains(name, "Validate") &&
		name != "Probe"
}

func (r *restarter) handle(_ any, s grpc.ServerStream) error {
	var request, answer []byte
	method, _ := grpc.MethodFromServerStream(s)
	if err := s.RecvMsg(&request); err != nil {
		return err
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.count++
	if r.random.Intn(30) == 0 {
		r.between++
		r.kill()
		r.start()
	}
	for try := 0; ; try++ {
		err := r.ask(s.Context(), method, &request, &answer, try == 0 && changes(method) && r.random.Intn(4) == 0)
		if status.Code(err) == codes.Unavailable && try < 3 {
			r.repeats++
			continue
		}
		if err != nil {
			return err
		}
		return s.SendMsg(&answer)
	}
}

func (r *restarter) ask(ctx context.Context, method string, request, answer *[]byte, kill bool) error {
	done := make(chan error, 1)
	go func() { done <- r.driver.Invoke(ctx, method, request, answer, grpc.WaitForReady(true)) }()
	if !kill {
		return <-done
	}
	// Most calls take some tens of milliseconds, those with a mkfs a second.
	delay := time.Duration(r.random.ExpFloat64() * float64(100*time.Millisecond))
	select {
	case err := <-done:
		return err
	case <-time.After(delay):
		r.amid++
		r.kill()
		r.start()
		return <-done
	}
}

func main() {
	seed := flag.Int64("seed", time.Now().UnixNano(), "of the order of kills")
	flag.Parse()
	if flag.NArg() < 3 {
		log.Fatal("restarter [-seed N] LISTEN SOCKET DRIVER [ARGUMENT...]")
	}
	r := &restarter{command: flag.Args()[2:], random: rand.New(rand.NewSource(*seed))}
	retry := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1, MaxDelay: 50 * time.Millisecond}
	conn, err := grpc.NewClient("unix://"+flag.Arg(1), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	r.driver = conn
	l, err := net.Listen("unix", flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	r.start()
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(r.handle))
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
		server.Stop()
	}()
	if err := server.Serve(l); err != nil && err != io.EOF {
		log.Print(err)
	}
	r.kill()
	fmt.Printf("restarter: seed %d, %d requests, %d kills between and %d amid them, %d requests repeated\n",
		*seed, r.count, r.between, r.amid, r.repeats)
	if r.between == 0 || r.amid == 0 || r.repeats == 0 {
		os.Exit(1) // then nothing was tried
	}
}
