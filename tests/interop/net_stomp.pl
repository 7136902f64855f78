#!/usr/bin/perl
# SPDX-License-Identifier: MPL-2.0
# A STOMP client on Perl's Net::Stomp, which speaks 1.0: net_stomp.pl PORT SCENARIO. Prints what it
# sees.
use strict;
use warnings;
use Net::Stomp;

my ($port, $scenario) = @ARGV;
$| = 1;

sub connected {
    my $client = Net::Stomp->new({ hostname => '127.0.0.1', port => $port, timeout => 20,
                                   reconnect_attempts => 1 });
    my $answer = $client->connect({ login => 'anyone', passcode => 'anything' });
    die "not connected\n" unless $answer && $answer->command eq 'CONNECTED';
    return $client;
}

sub show {
    my ($client) = @_;
    my $frame = $client->receive_frame or die "no frame came\n";
    print $frame->command, ' ', $frame->headers->{destination} // '', ' ', $frame->body // '', "\n";
    return $frame;
}

my $client = connected();
print "CONNECTED\n";

if ($scenario eq 'topic') {
    $client->subscribe({ destination => '/topic/news.*', receipt => 'subscribed' });
    print 'RECEIPT ', $client->receive_frame->headers->{'receipt-id'}, "\n";
    show($client);
} elsif ($scenario eq 'queue') {
    $client->subscribe({ destination => '/queue/q', ack => 'client' });
    $client->send({ destination => '/queue/q', body => $_ }) for 1 .. 3;
    my @frames = map { show($client) } 1 .. 3;
    $client->ack({ frame => $frames[1] });
    $client->disconnect;
    $client = connected();
    $client->subscribe({ destination => '/queue/q' });
    show($client);    # what was not acknowledged
} elsif ($scenario eq 'transaction') {
    my $sender = connected();
    my $done = $sender->send_transactional({ destination => '/queue/q', body => 'in a transaction' });
    print $done ? "COMMITTED\n" : "REFUSED\n";
    $client->subscribe({ destination => '/queue/q' });
    show($client);
} elsif ($scenario eq 'service') {
    $client->subscribe({ destination => '/temp-queue/answers' });
    $client->send({ destination => '/service/add', body => '[2, 3]',
                    'reply-to' => '/temp-queue/answers', 'content-type' => 'application/json' });
    print 'REPLY ', $client->receive_frame->body, "\n";
} elsif ($scenario eq 'error') {
    my $frame;
    my $done = $client->send_with_receipt({ destination => '/nowhere', body => 'x' }, $frame);
    print $done ? "ACCEPTED\n" : $frame->command . "\n";
    exit 0;           # the gateway has hung up; a DISCONNECT would connect again
}
$client->disconnect;
